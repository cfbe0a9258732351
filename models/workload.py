"""The contract of a workload, and how the workloads of this package are found.

A workload is one model together with its data. It is one file in this folder with a module-level
`WORKLOAD = Workload(...)`; nothing else has to change for it to be built, listed, verified and served.
Its functions import torch, tensorflow and scikit-learn inside their bodies, so that commands that
need none of them stay quick.
"""

import importlib
import math
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import models
from models.errors import WorkloadError

if TYPE_CHECKING:
    from torch import nn

Weights = Mapping[str, NDArray[np.float32]]
"""Parameters by name, in PyTorch's names and layouts (convolution: out, in, height, width)."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Largest size of an answer as JSON: what a gRPC client accepts by default."""

NUMBER_BYTES = 25
"""The longest text of a float32 in an answer, with the separator that follows: `-1.1754943508222875e-38, `."""

BRACKET_BYTES = 4
"""What the answer to one instance adds to its numbers: `[` and `], `."""

ENVELOPE_BYTES = 19
"""What encloses all of them: `{"predictions": []}`."""

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A forward pass: (batch, *input.shape) -> (batch, *output.shape)."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of one tensor of the model's interface.

    Attributes:
        name: Tensor name in the serving signature.
        dtype: NumPy name of the element type; only "float32" is exported.
        shape: Dimensions of one instance, without the batch dimension.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Examples:
    """Inputs with their true classes.

    Attributes:
        inputs: (n, *input.shape) float32.
        labels: (n,) int64, positions in `Workload.labels`.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Trained:
    """What training (or loading) returns.

    Attributes:
        weights: Float32 parameters; the same seed gives the same bytes on the same machine.
        held_out: Examples that training never saw; the accuracy is measured on them.
        golden: The few held-out examples that every server must answer like the reference.
    """

    weights: Weights
    held_out: Examples
    golden: Examples


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One model and its data: everything that the exports, the checks and the manifest need.

    Attributes:
        name: Lower case letters, digits and underscores; names the artifact and the served model.
        version: Positive integer; a changed model gets a higher one.
        description: One sentence saying what it predicts.
        input: The one input tensor of the model.
        output: The one output tensor of the model, one score per label.
        labels: Class names, in the order of the output.
        seed: Seed of everything random in `train`.
        minimum_accuracy: Share of the held-out examples that must be classified correctly, 0 to 1.
        tolerance: Largest absolute difference to the reference allowed in any output element.
        train: seed -> weights, held-out and golden examples. It may as well load weights that exist.
        network: builds the PyTorch module, (batch, *input.shape) -> (batch, *output.shape), its
            parameters named as in the weights. A server runs the source text of this function and has
            only torch: it is called `network`, stands at module level and imports in its body.
        twin: weights -> `tf.Module` holding them as variables; calling it does the same forward pass.
        reference: (weights, inputs) -> float64 outputs, in NumPy alone: the independent forward pass.

    Raises:
        WorkloadError: A value breaks these rules.
    """

    name: str
    version: int
    description: str
    input: TensorSpec
    output: TensorSpec
    labels: tuple[str, ...]
    seed: int
    minimum_accuracy: float
    tolerance: float = 1e-5
    train: Callable[[int], Trained]
    network: "Callable[[], nn.Module]"
    twin: Callable[[Weights], Any]
    reference: Callable[[Weights, NDArray[np.float32]], NDArray[np.float64]]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise self._fault("the name may hold lower case letters, digits and underscores")
        if self.version < 1:
            raise self._fault(f"version is {self.version}, must be 1 or more")
        for spec in (self.input, self.output):
            if spec.dtype != "float32":
                raise self._fault(f"tensor {spec.name} is {spec.dtype}, only float32 is exported")
        if self.output.shape != (len(self.labels),):
            raise self._fault(f"{len(self.labels)} labels for an output of shape {self.output.shape}")

    @property
    def max_instances(self) -> int:
        """How many instances one request may hold, from the largest size of an answer; the same at every server."""
        numbers = math.prod(self.output.shape)
        return max(1, (MAX_ANSWER_BYTES - ENVELOPE_BYTES) // (numbers * NUMBER_BYTES + BRACKET_BYTES))

    def check(self, examples: Examples) -> None:
        """Check that examples of `train` are what the contract says.

        Raises:
            WorkloadError: There are none, or a shape or dtype is not that of the input and labels.
        """
        inputs, labels = examples.inputs, examples.labels
        if inputs.dtype != np.float32 or inputs.shape[1:] != self.input.shape or not len(inputs):
            raise self._fault(f"train() gave inputs {inputs.dtype} {inputs.shape}, not float32 (n, *input.shape)")
        if labels.dtype != np.int64 or labels.shape != inputs.shape[:1]:
            raise self._fault(f"train() gave labels {labels.dtype} {labels.shape}, not int64 (n,)")

    def _fault(self, reason: str) -> WorkloadError:
        return WorkloadError(f"workload {self.name!r}: {reason}")


@dataclass(frozen=True)
class Found:
    """A workload and the file that defines it."""

    workload: Workload
    source: Path


def discover() -> dict[str, Found]:
    """Find every module of this package that defines a `WORKLOAD`.

    Returns:
        The workloads by name, sorted.

    Raises:
        WorkloadError: A file cannot be imported, its `WORKLOAD` is something else, or a name is taken.
    """
    found: dict[str, Found] = {}
    for info in pkgutil.iter_modules(models.__path__):
        if info.name.startswith("_"):
            continue
        try:
            module = importlib.import_module(f"models.{info.name}")
        except Exception as error:
            raise WorkloadError(f"models/{info.name}.py: {type(error).__name__}: {error}") from error
        workload = getattr(module, "WORKLOAD", None)
        if workload is None:
            continue
        source = Path(str(module.__file__))
        if not isinstance(workload, Workload):
            raise WorkloadError(f"{source.name}: WORKLOAD must be a models.workload.Workload")
        if workload.name in found:
            other = found[workload.name].source.name
            raise WorkloadError(f"{source.name}: the name {workload.name!r} is taken by {other}")
        found[workload.name] = Found(workload, source)
    return dict(sorted(found.items()))


def find(name: str) -> Found:
    """Return the workload called `name`.

    Raises:
        WorkloadError: There is none; the message lists those there are.
    """
    known = discover()
    if name not in known:
        raise WorkloadError(f"unknown workload {name!r}; known: {', '.join(known) or 'none'}")
    return known[name]
