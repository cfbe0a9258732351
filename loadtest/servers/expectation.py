"""What a correct answer is: checked on every response, while the load runs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson


class Expectation(Protocol):
    """Decides whether the body answered to the request with this payload is the right one."""

    @property
    def name(self) -> str:
        """What results call this check."""

    def matches(self, payload: int, body: bytes) -> bool:
        """Return whether the body is a correct answer to the payload."""


@dataclass(frozen=True)
class Anything:
    """Every answer with a 2xx status is right."""

    name: str = "none"

    def matches(self, payload: int, body: bytes) -> bool:
        """Take any body."""
        return True


@dataclass(frozen=True)
class Exactly:
    """The body must equal these bytes."""

    body: bytes
    name: str = "file"

    def matches(self, payload: int, body: bytes) -> bool:
        """Compare byte by byte."""
        return body == self.body


@dataclass(frozen=True)
class Golden:
    """The predictions must equal the right ones within an absolute tolerance.

    Attributes:
        predictions: One array a payload, each of shape (instances, *output shape); together they may be an array.
        tolerance: Largest absolute difference allowed on any element.
    """

    predictions: Sequence[npt.NDArray[np.float64]] | npt.NDArray[np.float64]
    tolerance: float
    name: str = "golden"

    def matches(self, payload: int, body: bytes) -> bool:
        """Compare the ``predictions`` of the JSON body with the golden ones of this payload."""
        return self.difference(payload, body) <= self.tolerance

    def difference(self, payload: int, body: bytes) -> float:
        """Largest absolute difference; infinite where the body is no answer of the right shape."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            try:  # the bare NaN and Infinity of TensorFlow Serving, which only the lenient parser reads
                document = json.loads(body)
            except ValueError:
                return float("inf")
        return self.distance(payload, document.get("predictions") if isinstance(document, dict) else None)

    def distance(self, payload: int, predictions: object) -> float:
        """Largest absolute difference of already parsed predictions; infinite where the shape is another."""
        expected = self.predictions[payload]
        try:
            answer = np.asarray(predictions, dtype=np.float64)
        except (TypeError, ValueError):
            return float("inf")
        if answer.shape != expected.shape:
            return float("inf")
        worst = float(np.abs(answer - expected).max())
        return worst if worst == worst else float("inf")
