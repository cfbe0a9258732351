"""Inputs of a model with the right answers, and the requests that are made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from loadtest.errors import UsageError
from loadtest.servers.expectation import Golden

Tensors = Mapping[str, npt.NDArray[Any]]
"""Arrays by the name of their tensor, each (n, *shape)."""

Rows = npt.NDArray[np.int64]
"""Numbers of examples."""


@dataclass(frozen=True)
class Examples:
    """Inputs with the right answers.

    Attributes:
        inputs: By name of the input; shorter examples are filled up to the longest.
        outputs: The right answers by name of the output, floating-point ones in float64.
        tolerance: Largest absolute difference from an answer that counts as the same.
        name: What errors call them.
        lengths: How much of the dimension that varies belongs to each example; None where none varies.
        axes: Which dimension that is, by name of the input, counted with that of the examples.
    """

    inputs: Tensors
    outputs: Tensors
    tolerance: float
    name: str = "examples"
    lengths: Rows | None = None
    axes: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many there are."""
        return len(next(iter(self.inputs.values())))

    def batches(self, batch: int = 1) -> list[Rows]:
        """The examples of each request, that together hold every one once, each request those of one length.

        The order is that of the examples. A request is as full as there are examples of its length; those that are not
        full come last.

        Args:
            batch: Instances in one request.

        Raises:
            UsageError: If there are not as many examples.
        """
        if not 1 <= batch <= self.size:
            raise UsageError(f"--batch must be from 1 to {self.size}, {self.name}, not {batch}")
        if self.lengths is None or batch == 1:
            return np.split(np.arange(self.size), range(batch, self.size, batch))
        full, filling = [], dict[int, list[int]]()
        for row, length in enumerate(self.lengths.tolist()):
            rows = filling.setdefault(length, [])
            rows.append(row)
            if len(rows) == batch:
                full.append(np.array(filling.pop(length)))
        return full + [np.array(rows) for rows in filling.values()]

    def request(self, rows: Rows) -> Tensors:
        """The inputs of one request, of one length and without padding."""
        return {name: self._trimmed(name, array[rows], rows) for name, array in self.inputs.items()}

    def _trimmed(self, name: str, array: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
        if self.lengths is None or name not in self.axes:
            return array
        return np.ascontiguousarray(array[(*[slice(None)] * self.axes[name], slice(int(self.lengths[rows[0]])))])

    def bodies(self, batch: int = 1) -> list[bytes]:
        """JSON request bodies, one for each of `batches`."""
        return [json_body(self.request(rows)) for rows in self.batches(batch)]

    def expectation(self, batch: int = 1) -> Golden:
        """The check of the answers to `bodies`."""
        if self.size % batch == 0 and (self.lengths is None or batch == 1):
            # One array instead of thousands is quickly handed to a client process.
            whole = {name: array.reshape(-1, batch, *array.shape[1:]) for name, array in self.outputs.items()}
            return Golden(whole, self.tolerance)
        batches = self.batches(batch)
        return Golden({name: [array[rows] for rows in batches] for name, array in self.outputs.items()}, self.tolerance)

    def pick(self, rows: Rows) -> "Examples":
        """Those of these numbers, in this order; a number may come more than once."""
        inputs, outputs = ({name: one[rows] for name, one in side.items()} for side in (self.inputs, self.outputs))
        return replace(
            self, inputs=inputs, outputs=outputs, lengths=None if self.lengths is None else self.lengths[rows]
        )

    def part(self, first: int, count: int) -> "Examples":
        """``count`` of them from number ``first`` on, or as many as there are."""
        return self.pick(np.arange(self.size)[first : first + count])

    def repeated(self, batch: int = 1) -> "Examples":
        """As many requests as before, each of them with the instances of the first one."""
        return self.pick(np.tile(self.batches(batch)[0], self.size // batch))

    def many(self, count: int) -> "Examples":
        """So many of one length, starting over where there are too few."""
        return self.pick(np.resize(self.commonest_length(), count))

    def of_one_length(self) -> "Examples":
        """Those of the length that most of them have: all where none varies."""
        return self.pick(self.commonest_length())

    def commonest_length(self) -> Rows:
        """The numbers of the examples of that length."""
        if self.lengths is None:
            return np.arange(self.size)
        lengths, counts = np.unique(self.lengths, return_counts=True)
        return np.flatnonzero(self.lengths == lengths[counts.argmax()])

    @classmethod
    def joined(cls, parts: "Sequence[Examples]") -> "Examples":
        """All of them one after the other, with what else the first has."""

        def one_after_the_other(sides: Sequence[Tensors]) -> Tensors:
            return {name: np.concatenate([side[name] for side in sides]) for name in sides[0]}

        lengths = [part.lengths for part in parts if part.lengths is not None]
        return replace(
            parts[0],
            inputs=one_after_the_other([part.inputs for part in parts]),
            outputs=one_after_the_other([part.outputs for part in parts]),
            lengths=np.concatenate(lengths) if lengths else None,
        )

    def shuffled(self, seed: tuple[int, ...]) -> "Examples":
        """The same in another order."""
        return self.pick(np.random.default_rng(seed).permutation(self.size))

    def for_requests(self, requests: float, batch: int = 1) -> "Examples":
        """As many as so many requests need, each one full: at least one request, at most all that there are.

        Args:
            requests: How many requests there will be, about; infinite where that is not known.
            batch: Instances in one request.

        Raises:
            UsageError: If there are fewer examples than instances in one request, or too few of one length.
        """
        full = [rows for rows in self.batches(batch) if len(rows) == batch]
        if not full:
            raise UsageError(f"--batch {batch}: {self.name} are fewer than that of any one length")
        return self.pick(np.concatenate(full[: int(max(1, min(len(full), requests)))]))


def json_body(inputs: Tensors) -> bytes:
    """A request as JSON: bare values for a model of one input, objects for one of several.

    A number has as many digits as tell its float32 from every other one, up to nine.
    """
    columns = _columns(inputs)
    (instances, *others) = columns.values()
    if others:
        instances = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return orjson.dumps({"instances": instances}, option=orjson.OPT_SERIALIZE_NUMPY)


def json_columns(inputs: Tensors) -> bytes:
    """A request as JSON, column by column: the bare tensor for a model of one input, an object for one of several."""
    columns = _columns(inputs)
    (only, *others) = columns.values()
    return orjson.dumps({"inputs": columns if others else only}, option=orjson.OPT_SERIALIZE_NUMPY)


def _columns(inputs: Tensors) -> dict[str, Any]:
    """Each input as the encoder takes it."""
    return {
        name: array.tolist() if array.dtype.kind == "U" else np.ascontiguousarray(array)
        for name, array in inputs.items()
    }
