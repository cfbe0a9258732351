"""Inputs of a model, several at once, of one length or of many; and the answers of a forward pass to all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.tensors import Tensors, TensorSpec

Forward = Callable[[Tensors], Tensors]
"""A forward pass: inputs by name, of one length, to outputs by name."""

CHUNK = 256
"""Examples of one pass, whose intermediate results are large."""


@dataclass(frozen=True)
class Examples:
    """Inputs, with their true classes where there are classes.

    Attributes:
        inputs: An array (n, *shape) for each input. Where a dimension varies, it is as large as the longest example
            needs, and shorter ones are filled up with the padding.
        labels: (n,) int64, positions in `Workload.labels`; None where there are no classes.
        lengths: (n,) int64, how much of the dimension that varies belongs to each; None where none varies.
    """

    inputs: Tensors
    labels: NDArray[np.int64] | None = None
    lengths: NDArray[np.int64] | None = None

    @property
    def size(self) -> int:
        """How many there are."""
        return min((len(array) for array in self.inputs.values()), default=0)

    def part(self, rows: slice | NDArray[np.int64]) -> "Examples":
        """Some of them."""
        labels, lengths = (None if every is None else every[rows] for every in (self.labels, self.lengths))
        return Examples({name: array[rows] for name, array in self.inputs.items()}, labels, lengths)

    def repeated(self, row: int, inputs: Sequence[TensorSpec], times: int = 1) -> Tensors:
        """A batch of one example, so many times, without padding."""
        ((_, one),) = self.part(slice(row, row + 1)).batches(inputs, 1)
        return {name: array.repeat(times, axis=0) for name, array in one.items()}

    def batches(self, inputs: Sequence[TensorSpec], most: int) -> Iterator[tuple[NDArray[np.int64], Tensors]]:
        """All of them in batches of one length each, without padding.

        Args:
            inputs: The inputs of the model.
            most: Examples in a batch.

        Yields:
            The numbers of the examples in a batch, and their inputs.
        """
        lengths = np.zeros(self.size, np.int64) if self.lengths is None else self.lengths
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            for first in range(0, len(rows), most):
                some = rows[first : first + most]
                yield some, {one.name: trimmed(self.inputs[one.name][some], one, int(length)) for one in inputs}


def trimmed(array: NDArray[Any], spec: TensorSpec, length: int) -> NDArray[Any]:
    """Cut the dimension that varies to `length`, where one does."""
    if spec.axis is None:
        return array
    return np.ascontiguousarray(array[(*[slice(None)] * spec.axis, slice(length))])


def padded(arrays: Sequence[NDArray[Any]], spec: TensorSpec) -> NDArray[Any]:
    """Put single instances of several lengths into one array, the shorter ones filled up with the padding.

    Args:
        arrays: One for each example, of the shape of one instance.
        spec: The input.
    """
    if spec.axis is None:
        return np.stack(arrays)
    longest = max(array.shape[spec.axis - 1] for array in arrays)
    filled = np.full((len(arrays), *spec.of_length(longest)), spec.padding, spec.numpy_dtype)
    for row, array in zip(filled, arrays, strict=True):
        row[tuple(slice(size) for size in array.shape)] = array
    return filled


def answers(forward: Forward, examples: Examples, inputs: Sequence[TensorSpec], most: int = CHUNK) -> Tensors:
    """The answers of a forward pass to all examples, in their order.

    Args:
        forward: The forward pass.
        examples: What it is asked.
        inputs: The inputs of the model.
        most: Examples in one pass.
    """
    parts = [(rows, forward(tensors)) for rows, tensors in examples.batches(inputs, most)]
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    names = parts[0][1]
    return {name: np.concatenate([outputs[name] for _, outputs in parts])[order] for name in names}
