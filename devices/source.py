"""What an export is made from: the model as an artifact holds it, one example, and examples to calibrate with."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import example_files
from models.artifact_manifest import Manifest
from models.examples import Examples
from models.load_inputs import derived_from
from models.tensors import Tensors, TensorSpec

CALIBRATION = 32
"""Most examples from which the ranges of activations are learned."""


@dataclass(frozen=True)
class Source:
    """A built model. Devices ask for one instance at a time, so every export takes a batch of one.

    Attributes:
        torch_folder: The PyTorch form, with its loader.
        saved_model: The version folder of the SavedModel.
        inputs: The inputs of the model, in the order of its arguments.
        outputs: Its outputs.
        example: One instance, (1, *shape).
        calibration: Several, each of its own length where lengths vary.
    """

    torch_folder: Path
    saved_model: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    example: Tensors
    calibration: tuple[Tensors, ...]

    @property
    def takes_tokens(self) -> bool:
        """Whether no input is a number to be scaled: activations are then quantised while the model runs."""
        return not any(spec.is_float for spec in self.inputs)

    @property
    def longest(self) -> Tensors:
        """The example, filled up to the largest length."""
        return filled_up(self.example, self.inputs)

    @property
    def calibration_longest(self) -> tuple[Tensors, ...]:
        """The examples to calibrate with, filled up to the largest length."""
        return tuple(filled_up(one, self.inputs) for one in self.calibration)

    def torch_module(self) -> Any:
        """The model as an `nn.Module` in eval mode, through the loader of its folder."""
        spec = importlib.util.spec_from_file_location("artifact_load", self.torch_folder / "load.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError(self.torch_folder / "load.py")
        loader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loader)
        return loader.load(self.torch_folder)

    def tensors(self, arrays: Tensors) -> tuple[Any, ...]:
        """PyTorch's tensors in the order of the model's arguments."""
        import torch

        return tuple(torch.from_numpy(arrays[spec.name]) for spec in self.inputs)

    def free_lengths(self) -> tuple[dict[int, Any], ...] | None:
        """For `torch.export`: the dimension that varies and its limits, for each input; None where none does."""
        import torch

        varying = next((spec.lengths for spec in self.inputs if spec.lengths), None)
        if varying is None:
            return None
        length = torch.export.Dim("length", min=varying[0], max=varying[1])
        return tuple({spec.axis: length} if spec.axis else {} for spec in self.inputs)


def of_artifact(folder: Path, manifest: Manifest) -> Source:
    """The model of an artifact, with the first golden example.

    Raises:
        BrokenArtifactError: Its examples cannot be read.
    """
    golden, _ = example_files.read(folder, manifest.golden)
    load, _ = example_files.read(folder, manifest.load)
    return Source(
        torch_folder=folder / "torch",
        saved_model=folder / "saved_model" / str(manifest.version),
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        example=golden.repeated(0, manifest.inputs),
        calibration=tuple(load.repeated(row, manifest.inputs) for row in calibration_rows(load, manifest)),
    )


def calibration_rows(load: Examples, manifest: Manifest) -> list[int]:
    """The examples for load tests to calibrate with: each from another held-out example, and from half of them at most.

    The rest is for `further`: what calibrates must not say how good the quantised model is.
    """
    here = min(load.size, manifest.quality.examples)
    return spread(range(here), min(CALIBRATION, manifest.quality.examples // 2))


def further(artifact: Path, manifest: Manifest, most: int) -> tuple[Examples, Tensors]:
    """Examples of a model with classes that stem from no held-out example that calibrates, with the right answers.

    Args:
        artifact: The artifact.
        manifest: Its manifest.
        most: No more than so many, evenly spread.

    Raises:
        BrokenArtifactError: Its examples cannot be read.
    """
    load, _ = example_files.read(artifact, manifest.load)
    fresh, outputs = example_files.read(artifact, manifest.fresh)
    origins = derived_from(manifest.quality.examples, range(load.size, load.size + fresh.size))
    others = np.flatnonzero(~np.isin(origins, calibration_rows(load, manifest)))
    rows = np.asarray(spread(others, most))
    return fresh.part(rows), {name: array[rows] for name, array in outputs.items()}


def spread(numbers: Sequence[int] | NDArray[np.int64], most: int) -> list[int]:
    """So many of the numbers, or all where there are fewer, in equal steps."""
    count = min(most, len(numbers))
    return [int(numbers[step * len(numbers) // count]) for step in range(count)]


def filled_up(arrays: Tensors, inputs: tuple[TensorSpec, ...]) -> Tensors:
    """Instances filled up with the padding to the largest length, for what takes one length only."""
    return {spec.name: _filled_up(arrays[spec.name], spec) for spec in inputs}


def _filled_up(array: Any, spec: TensorSpec) -> Any:
    whole = np.full((len(array), *spec.longest), spec.padding, array.dtype)
    whole[tuple(slice(size) for size in array.shape)] = array
    return whole
