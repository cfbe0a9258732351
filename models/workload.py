"""The contract of a workload, and how the workloads of this package are found.

A workload is one model together with its data. It is one file in this folder with a module-level
`WORKLOAD = Workload(...)`; nothing else has to change for it to be built, listed, verified and served.
Its functions import torch, tensorflow and scikit-learn inside their bodies, so that commands that
need none of them stay quick.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import models
from models.errors import WorkloadError
from models.examples import Examples
from models.packaged_file import PackagedFile
from models.quality import Quality
from models.recording.history import History
from models.tensors import Tensors, TensorSpec

if TYPE_CHECKING:
    from torch import nn

Weights = Mapping[str, NDArray[np.float32]]
"""Parameters by name, in PyTorch's names and layouts (convolution: out, in, height, width)."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Largest size of an answer as JSON: what a gRPC client accepts by default."""

MAX_REQUEST_BYTES = 128 * 1024 * 1024
"""Largest size of a request as JSON, whatever the model."""

LEAST_REQUEST_BYTES = 32 * 1024 * 1024
"""What a server takes at least, where a model needs less."""

ENVELOPE_BYTES = 19
"""What encloses an answer: `{"predictions": []}`. A request has one byte less."""

LOAD_INPUTS = 4_096
"""Inputs of ordinary runs, unless a workload has fewer."""


@dataclass(frozen=True)
class Trained:
    """What training (or loading) returns.

    Attributes:
        weights: Float32 parameters; the same seed gives the same bytes on the same machine.
        held_out: Examples that training never saw; the quality is measured on them.
        golden: The few held-out examples that every server must answer like the reference.
        history: How it learned, for those who look on; None where nothing was trained or recorded.
        texts: What a person would call each held-out example; empty where the class says it.

    Raises:
        WorkloadError: There are other than one text for each held-out example.
    """

    weights: Weights
    held_out: Examples
    golden: Examples
    history: History | None = None
    texts: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.texts and len(self.texts) != self.held_out.size:
            raise WorkloadError(f"train() gave {len(self.texts)} texts for {self.held_out.size} held-out examples")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One model and its data: everything that the exports, the checks and the manifest need.

    `network`, `twin` and `reference` are called with the inputs in the order of `inputs`. They return the output, or a
    tuple in the order of `outputs` where there are several.

    Attributes:
        name: Lower case letters, digits and underscores; names the artifact and the served model.
        version: Positive integer; a changed model gets a higher one.
        description: One sentence saying what it predicts.
        inputs: The input tensors of the model. Where dimensions vary, those of one instance are of one length.
        outputs: The output tensors of the model, each of a fixed shape.
        labels: Class names, in the order of the scores of the one output, or a function that reads them from a package;
            empty where there are no classes.
        seed: Seed of everything random in `train`.
        quality: The figure that says how good the model is, and its floor.
        tolerance: Largest absolute difference to the reference allowed in any element of a floating-point output. Other
            outputs must be equal.
        request_limit: Most instances of one request, where its size and that of its answer would allow more.
        load_inputs: How many inputs ordinary runs of a load test have, where the memory allows.
        packaged_files: Files of installed packages that `train` reads.
        train: seed -> weights, held-out and golden examples. It may as well load weights that exist.
        network: builds the PyTorch module, its parameters named as in the weights. A server runs the source text of
            this function and has only torch: it is called `network`, stands at module level and imports in its body.
            Text comes and goes as (nested) lists of `str`.
        twin: weights -> `tf.Module` holding them as variables; calling it does the same forward pass.
        reference: (weights, one array for each input) -> outputs in float64, in NumPy alone: the independent forward
            pass.
        vary: (random generator, held-out examples, how many) -> so many examples for load tests, all different.
            Without it, the held-out examples get a small noise on their floating-point inputs.

    Raises:
        WorkloadError: A value breaks these rules.
    """

    name: str
    version: int
    description: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    seed: int
    quality: Quality
    tolerance: float = 1e-5
    request_limit: int | None = None
    load_inputs: int = LOAD_INPUTS
    packaged_files: tuple[PackagedFile, ...] = ()
    train: Callable[[int], Trained]
    network: "Callable[[], nn.Module]"
    twin: Callable[[Weights], Any]
    reference: Callable[..., Any]
    vary: Callable[[np.random.Generator, Examples, int], Examples] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise self._fault("the name may hold lower case letters, digits and underscores")
        if self.version < 1:
            raise self._fault(f"version is {self.version}, must be 1 or more")
        names = [spec.name for spec in (*self.inputs, *self.outputs)]
        if not self.inputs or not self.outputs or len(set(names)) < len(names):
            raise self._fault("it needs inputs and outputs, each of another name")
        if any(not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name.endswith("_bytes") for name in names):
            # TensorFlow Serving takes text of such a name for binary data, in base64.
            raise self._fault("a tensor has a name of lower case letters, digits and underscores, not ending in _bytes")
        if any(spec.lengths for spec in self.outputs):
            raise self._fault("an output has a fixed shape")
        if len({spec.lengths for spec in self.inputs if spec.lengths}) > 1:
            raise self._fault("inputs that vary have the same lengths")
        if not callable(self.labels):
            self._check_classes(self.labels)
        if self.vary is None and not any(spec.is_float for spec in self.inputs):
            raise self._fault("without a floating-point input it needs `vary`, for inputs that are all different")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels, read from where they are.

        Raises:
            PackagedFileError: A package that has them is missing or another one.
            WorkloadError: They are not as many as there are scores.
        """
        names = self.labels() if callable(self.labels) else self.labels
        self._check_classes(names)
        return names

    def _check_classes(self, names: tuple[str, ...]) -> None:
        if names and [spec.shape for spec in self.outputs] != [(len(names),)]:
            shapes = ", ".join(str(spec.shape) for spec in self.outputs)
            raise self._fault(f"{len(names)} labels for an output of shape {shapes}")

    @property
    def max_instances(self) -> int:
        """How many instances one request may hold, from the sizes of requests and answers; the same at every server."""
        answers = (MAX_ANSWER_BYTES - ENVELOPE_BYTES) // _row_bytes(self.outputs)
        requests = (MAX_REQUEST_BYTES - ENVELOPE_BYTES) // _row_bytes(self.inputs)
        return max(1, min(answers, requests, self.request_limit or answers))

    @property
    def max_request_bytes(self) -> int:
        """How large the body of a request may be: room for `max_instances`, however long their numbers are."""
        return max(LEAST_REQUEST_BYTES, self.max_instances * _row_bytes(self.inputs) + ENVELOPE_BYTES)

    def check(self, examples: Examples) -> None:
        """Check that examples of `train` are what the contract says.

        Raises:
            WorkloadError: There are none, or they do not fit the inputs and labels.
        """
        if examples.inputs.keys() != {spec.name for spec in self.inputs} or not examples.size:
            raise self._fault(f"train() gave inputs {', '.join(examples.inputs)} for {examples.size} examples")
        for spec in self.inputs:
            array = examples.inputs[spec.name]
            if fault := spec.fault(array):
                raise self._fault(f"train() gave inputs that do not fit: {fault}")
            if len(array) != examples.size:
                raise self._fault(f"train() gave {len(array)} of {spec.name} for {examples.size} examples")
        self._check_labels(examples)
        self._check_lengths(examples)

    def _check_labels(self, examples: Examples) -> None:
        labels = examples.labels
        if labels is None:
            if self.labels:
                raise self._fault("train() gave examples without labels")
        elif labels.dtype != np.int64 or labels.shape != (examples.size,):
            raise self._fault(f"train() gave labels {labels.dtype} {labels.shape}, not int64 ({examples.size},)")

    def _check_lengths(self, examples: Examples) -> None:
        limits = next((spec.lengths for spec in self.inputs if spec.lengths), None)
        lengths = examples.lengths
        if (lengths is None) != (limits is None):
            raise self._fault(f"train() gave {'no ' if lengths is None else ''}lengths of its examples")
        if lengths is None or limits is None:
            return
        if lengths.shape != (examples.size,) or not (limits[0] <= lengths.min() <= lengths.max() <= limits[1]):
            raise self._fault(f"train() gave lengths {lengths.shape}, {lengths.min()} to {lengths.max()}")

    def answer(self, weights: Weights, inputs: Tensors) -> Tensors:
        """The outputs of the reference by name; `inputs` are of one length.

        Raises:
            WorkloadError: It does not return as many outputs as there should be.
        """
        return by_name(self.outputs, self.reference(weights, *(inputs[spec.name] for spec in self.inputs)))

    def _fault(self, reason: str) -> WorkloadError:
        return WorkloadError(f"workload {self.name!r}: {reason}")


def by_name(outputs: Sequence[TensorSpec], returned: Any) -> dict[str, Any]:
    """Name what a forward pass returned: one output, or a tuple in the order of `outputs`.

    Raises:
        WorkloadError: These are not as many as there should be.
    """
    values = returned if isinstance(returned, tuple) else (returned,)
    if len(values) != len(outputs):
        raise WorkloadError(f"the forward pass returned {len(values)} outputs, not {len(outputs)}")
    return {spec.name: value for spec, value in zip(outputs, values, strict=True)}


def _row_bytes(specs: Sequence[TensorSpec]) -> int:
    """The most that one instance takes as JSON; where there are several tensors it is an object."""
    names = sum(len(spec.name) + len('"": ') for spec in specs) + len("{}, ") if len(specs) > 1 else 0
    return names + sum(spec.json_bytes for spec in specs)


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
