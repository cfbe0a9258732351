"""What an export is made from: the model as an artifact holds it, one example, and examples to calibrate with."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import example_files
from models.artifact_manifest import Manifest
from models.examples import Examples
from models.tensors import Tensors, TensorSpec

CALIBRATION = 32
"""Examples from which the ranges of activations are learned, evenly spread over those for load tests."""


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
        calibration=tuple(load.repeated(row, manifest.inputs) for row in spread(load, CALIBRATION)),
    )


def spread(examples: Examples, most: int) -> list[int]:
    """The numbers of so many examples, or of all where there are fewer, in equal steps."""
    count = min(most, examples.size)
    return [number * examples.size // count for number in range(count)]


def filled_up(arrays: Tensors, inputs: tuple[TensorSpec, ...]) -> Tensors:
    """Instances filled up with the padding to the largest length, for what takes one length only."""
    return {spec.name: _filled_up(arrays[spec.name], spec) for spec in inputs}


def _filled_up(array: Any, spec: TensorSpec) -> Any:
    whole = np.full((len(array), *spec.longest), spec.padding, array.dtype)
    whole[tuple(slice(size) for size in array.shape)] = array
    return whole
