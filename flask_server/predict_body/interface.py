"""What a model takes and returns, and the checks of a request that are the same in every form of a body."""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Tensors = dict[str, npt.NDArray[Any]]
"""Arrays by the name of their tensor, each (batch, *shape)."""

NOT_FINITE = "the model has no finite answer to these instances: are they scaled right?"
"""Why a NaN or an infinite output is refused. Inputs far outside of the training data can cause that."""


class InvalidRequest(ValueError):  # noqa: N818 - it says what the client did, as BadRequest does in Werkzeug
    """The client's body cannot be predicted from; the message says what to change."""


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of the model's interface, as workload.json and the manifest describe it.

    Attributes:
        name: Its name.
        dtype: NumPy's name of the type of its elements, or ``string``.
        shape: Dimensions of one instance; None for the one that varies.
        lengths: Smallest and largest size of that one.
        padding: What fills up shorter instances in a batch.
        minimum: Smallest value allowed, if there is one.
        maximum: Largest value allowed.
        white: Where it is a picture, the value of a stored pixel that stands for 1.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    lengths: tuple[int, int] | None
    padding: float
    minimum: float | None
    maximum: float | None
    white: int | None = None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> "TensorSpec":
        """Read an entry of ``inputs`` or ``outputs``.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        lengths = entry["lengths"]
        return cls(
            name=str(entry["name"]),
            dtype=str(entry["dtype"]),
            shape=tuple(entry["shape"]),
            lengths=None if lengths is None else (int(lengths[0]), int(lengths[1])),
            padding=entry["padding"],
            minimum=entry["minimum"],
            maximum=entry["maximum"],
            white=entry.get("white"),
        )

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The type of the elements of an array."""
        return np.dtype(np.str_ if self.dtype == "string" else self.dtype)

    @property
    def axis(self) -> int | None:
        """Which dimension of a batch varies."""
        return 1 + self.shape.index(None) if self.lengths else None

    @property
    def most_values(self) -> int:
        """How many values the largest instance has."""
        return math.prod(size if size is not None else (self.lengths or (0, 0))[1] for size in self.shape)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The dimensions of an instance, in words."""
        varies = "{} to {}".format(*self.lengths or (0, 0))
        return tuple(varies if size is None else str(size) for size in self.shape)

    @property
    def of_shape(self) -> str:
        """The shape of an instance, in words."""
        return f"of shape [{', '.join(self.sizes)}]"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an instance may have this shape."""
        low, high = self.lengths or (0, 0)
        return len(shape) == len(self.shape) and all(
            low <= there <= high if size is None else there == size
            for size, there in zip(self.shape, shape, strict=True)
        )

    def smallest(self) -> npt.NDArray[Any]:
        """One instance, as short as may be, of values that are allowed."""
        shape = [self.lengths[0] if size is None and self.lengths else size or 0 for size in self.shape]
        value = "" if self.dtype == "string" else self.minimum or min(0, self.maximum or 0)
        return np.full((1, *shape), value, self.numpy_dtype)


@dataclass(frozen=True)
class Interface:
    """What goes into a model and what comes out of it.

    Attributes:
        inputs: The input tensors.
        outputs: The output tensors.
        max_instances: How many instances one request may hold.
        max_request_bytes: How large a body may be.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_instances: int
    max_request_bytes: int

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Interface":
        """Read workload.json or the manifest.

        Raises:
            KeyError, TypeError, ValueError: It is neither.
        """
        inputs, outputs = (tuple(map(TensorSpec.read, document[side])) for side in ("inputs", "outputs"))
        return cls(inputs, outputs, int(document["max_instances"]), int(document["max_request_bytes"]))

    @cached_property
    def most_commas(self) -> float:
        """More than JSON of so many instances has commas; infinite where they hold text, which may be full of them."""
        if any(spec.dtype == "string" for spec in self.inputs):
            return math.inf
        values = sum(spec.most_values + 1 for spec in self.inputs)
        return 2 * self.max_instances * values + 1000

    @cached_property
    def most_bytes(self) -> int:
        """How many bytes the arrays of a request may take. Text may be of any length: its arrays, as much as a body."""
        if any(spec.dtype == "string" for spec in self.inputs):
            return self.max_request_bytes
        return self.max_instances * sum(spec.most_values * spec.numpy_dtype.itemsize for spec in self.inputs)

    def check_count(self, count: int) -> None:
        """Check how many instances a request holds.

        Raises:
            InvalidRequest: There is none, or there are more than `max_instances`.
        """
        if count < 1:
            raise InvalidRequest("no instance in this request; send at least one")
        if count > self.max_instances:
            raise InvalidRequest(f"{count} instances in one request; the limit is {self.max_instances}")

    def smallest(self) -> Tensors:
        """A batch of one instance that the model can answer, to warm it up with."""
        return {spec.name: spec.smallest() for spec in self.inputs}


def check_values(array: npt.NDArray[Any], spec: TensorSpec, name: str) -> None:
    """Check the values of one input of all instances.

    Args:
        array: Its values, (n, *shape) and of the type of the input.
        spec: The input.
        name: What errors add to the place of an instance: nothing, or the input after a dot.

    Raises:
        InvalidRequest: A number is not finite, or is beyond the limits of the input; a text is none.
    """
    kind = array.dtype.kind
    if kind == "U":
        _check_text(array, name)
        return
    if kind == "f" and not np.isfinite(array).all():
        raise InvalidRequest(f"the instances{name} hold NaN, Infinity or a number too large for {spec.dtype}")
    if spec.minimum is not None and array.min() < spec.minimum:
        raise InvalidRequest(f"the instances{name} hold {array.min()}; the smallest value allowed is {spec.minimum}")
    if spec.maximum is not None and array.max() > spec.maximum:
        raise InvalidRequest(f"the instances{name} hold {array.max()}; the largest value allowed is {spec.maximum}")


def check_finite(outputs: Mapping[str, npt.NDArray[Any]]) -> None:
    """Check an answer; what JSON could not say is refused in every form.

    Raises:
        InvalidRequest: An output is NaN or infinite.
    """
    if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in outputs.values()):
        raise InvalidRequest(NOT_FINITE)


def check_lengths(columns: Tensors, inputs: Iterable[TensorSpec]) -> None:
    """Check that the inputs of an instance are of one length.

    Raises:
        InvalidRequest: They are not.
    """
    lengths = {spec.name: columns[spec.name].shape[spec.axis] for spec in inputs if spec.axis is not None}
    if len(set(lengths.values())) > 1:
        told = " and ".join(f"{length} of {name}" for name, length in lengths.items())
        raise InvalidRequest(f"instances[0] has {told}: the inputs of one instance must have the same length")


def wrong_names(found: Iterable[str], wanted: Iterable[str], what: str) -> InvalidRequest:
    """Make the error of something that has not exactly the inputs of the model.

    Args:
        found: The names that it has.
        wanted: The names of the inputs.
        what: What the error calls it.
    """
    lacks, extra = (listed(sorted(some)) for some in (set(wanted) - set(found), set(found) - set(wanted)))
    fault = f"lacks {lacks}" if lacks else f"has {extra}" if extra else "names an input twice"
    return InvalidRequest(f"{what} {fault}; expected are {listed(wanted)}")


def listed(names: Iterable[str]) -> str:
    """Names in quotes, with commas between."""
    return ", ".join(json.dumps(name) for name in names)


def _check_text(array: npt.NDArray[Any], name: str) -> None:
    """Refuse what UTF-8 cannot say, and what Python would stumble over only later: NumPy takes any 32 bits."""
    if not array.dtype.itemsize:
        return  # nothing but empty texts
    codes = array.view(np.uint32)
    if ((codes > sys.maxunicode) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any():
        raise InvalidRequest(f"the instances{name} hold text that is not Unicode")
