"""What a correct answer is: checked on every response, while the load runs."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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
    """The predictions must equal the right ones: floating-point numbers within an absolute tolerance, others exactly.

    Attributes:
        predictions: By name of the output, one array a payload, each of shape (instances, *output shape); together they
            may be an array.
        tolerance: Largest absolute difference allowed on any element.
    """

    predictions: Mapping[str, Sequence[npt.NDArray[Any]] | npt.NDArray[Any]]
    tolerance: float
    name: str = "golden"

    def matches(self, payload: int, body: bytes) -> bool:
        """Compare the ``predictions`` of the JSON body with the golden ones of this payload."""
        return self.difference(payload, body) <= self.tolerance

    def difference(self, payload: int, body: bytes) -> float:
        """Largest absolute difference; infinite where the body is no answer of the right shape."""
        try:
            document = read_json(body)
        except ValueError:
            return math.inf
        return self.distance(payload, document.get("predictions") if isinstance(document, dict) else None)

    def distance(self, payload: int, predictions: object) -> float:
        """Largest absolute difference of already parsed predictions; infinite where the shape is another.

        Args:
            payload: Number of the payload.
            predictions: One for each instance: bare values for a model of one output, objects for one of several.
        """
        if len(self.predictions) == 1:
            (name,) = self.predictions
            return self.column_distance(payload, {name: predictions})
        if not isinstance(predictions, list):
            return math.inf
        if not all(isinstance(one, dict) and one.keys() == self.predictions.keys() for one in predictions):
            return math.inf
        return self.column_distance(payload, {name: [one[name] for one in predictions] for name in self.predictions})

    def column_distance(self, payload: int, outputs: Mapping[str, object]) -> float:
        """The same where each output holds all instances; outputs that were not asked for do no harm."""
        if not outputs.keys() >= self.predictions.keys():
            return math.inf
        return max(_distance(every[payload], outputs[name]) for name, every in self.predictions.items())


def read_json(body: bytes) -> Any:
    """Parse an answer, with the bare NaN and Infinity of TensorFlow Serving too.

    Raises:
        ValueError: If it is no JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)  # slower, but lenient


def _distance(expected: npt.NDArray[Any], value: object) -> float:
    if expected.dtype.kind != "f":
        return 0.0 if _is_equal(expected, value) else math.inf
    try:
        answer = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return math.inf
    if answer.shape != expected.shape:
        return math.inf
    worst = float(np.abs(answer - expected).max())
    return worst if worst == worst else math.inf


def _is_equal(expected: npt.NDArray[Any], value: object) -> bool:
    try:
        answer = np.asarray(value)
    except ValueError:
        return False
    same_kind = answer.dtype.kind == expected.dtype.kind or {answer.dtype.kind, expected.dtype.kind} <= {"i", "u"}
    return same_kind and np.array_equal(answer, expected)
