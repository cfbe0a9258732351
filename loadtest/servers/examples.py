"""Inputs of a model with the right answers, and the requests that are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from loadtest.errors import UsageError
from loadtest.servers.expectation import Golden


@dataclass(frozen=True)
class Examples:
    """Inputs with the right answers.

    Attributes:
        inputs: Shape (n, *input shape).
        outputs: The answers in float64, shape (n, *output shape).
        tolerance: Largest absolute difference from an answer that counts as the same.
        name: What errors call them.
    """

    inputs: npt.NDArray[np.float32]
    outputs: npt.NDArray[np.float64]
    tolerance: float
    name: str = "examples"

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.inputs)

    def batches(self, batch: int = 1) -> list[slice]:
        """The examples of each request, that together hold every one once; the last request may have fewer.

        Args:
            batch: Instances in one request.

        Raises:
            UsageError: If there are not as many examples.
        """
        if not 1 <= batch <= self.size:
            raise UsageError(f"--batch must be from 1 to {self.size}, {self.name}, not {batch}")
        return [slice(first, first + batch) for first in range(0, self.size, batch)]

    def bodies(self, batch: int = 1) -> list[bytes]:
        """JSON request bodies, one for each of `batches`.

        A number has as many digits as tell its float32 from every other one, up to nine.
        """
        return [
            orjson.dumps({"instances": self.inputs[part]}, option=orjson.OPT_SERIALIZE_NUMPY)
            for part in self.batches(batch)
        ]

    def expectation(self, batch: int = 1) -> Golden:
        """The check of the answers to `bodies`."""
        if self.size % batch == 0:  # one array instead of thousands is quickly handed to a client process
            return Golden(self.outputs.reshape(-1, batch, *self.outputs.shape[1:]), self.tolerance)
        return Golden([self.outputs[part] for part in self.batches(batch)], self.tolerance)

    def part(self, first: int, count: int) -> "Examples":
        """``count`` of them from number ``first`` on, or as many as there are."""
        to = slice(first, first + count)
        return Examples(self.inputs[to], self.outputs[to], self.tolerance, self.name)

    def repeated(self, batch: int = 1) -> "Examples":
        """As many requests as before, each of them with the instances of the first one."""
        times = self.size // batch
        inputs, outputs = self.inputs[:batch], self.outputs[:batch]
        return Examples(np.concatenate([inputs] * times), np.concatenate([outputs] * times), self.tolerance, self.name)

    @classmethod
    def joined(cls, parts: "Sequence[Examples]") -> "Examples":
        """All of them one after the other, with the tolerance and the name of the first."""
        inputs, outputs = (np.concatenate([getattr(part, name) for part in parts]) for name in ("inputs", "outputs"))
        return cls(inputs, outputs, parts[0].tolerance, parts[0].name)

    def shuffled(self, seed: tuple[int, ...]) -> "Examples":
        """The same in another order."""
        order = np.random.default_rng(seed).permutation(self.size)
        return Examples(self.inputs[order], self.outputs[order], self.tolerance, self.name)

    def for_requests(self, requests: float, batch: int = 1) -> "Examples":
        """As many as so many requests need, each one full: at least one request, at most all that there are.

        Args:
            requests: How many requests there will be, about; infinite where that is not known.
            batch: Instances in one request.

        Raises:
            UsageError: If there are fewer examples than instances in one request.
        """
        whole = len(self.batches(batch)) - (self.size % batch > 0)
        return self.part(0, int(max(1, min(whole, requests))) * batch)
