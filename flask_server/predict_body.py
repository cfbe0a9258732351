"""The wire format of a predict call: JSON body to arrays, and arrays to JSON answer.

Flask and TorchServe ask the same of a client, so this module serves both: Flask imports it, and `models/mar.py` puts
it into the .mar beside TorchServe's handler. It therefore needs NumPy and nothing else.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

Tensors = dict[str, npt.NDArray[Any]]
"""Arrays by the name of their tensor, each (batch, *shape)."""

_KINDS = {"b": "booleans", "U": "text", "i": "numbers", "u": "numbers", "f": "numbers"}
# By the kind of the type of an array's elements (numpy.dtype.kind): what may stand in JSON for them, what that is
# called, and the Python type of each element where only one will do.
_TAKEN = {
    "f": ("iuf", "numbers", None),
    "i": ("iu", "whole numbers", None),
    "u": ("iu", "whole numbers", None),
    "b": ("b", "booleans", bool),
    "U": ("U", "text", str),
}
# NaN and Infinity are not JSON (RFC 8259, section 6), though the encoder would write them.
_ENCODER = json.JSONEncoder(allow_nan=False)


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
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    lengths: tuple[int, int] | None
    padding: float
    minimum: float | None
    maximum: float | None

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
    def of_shape(self) -> str:
        """The shape of an instance, in words."""
        varies = "{} to {}".format(*self.lengths or (0, 0))
        return f"of shape [{', '.join(varies if size is None else str(size) for size in self.shape)}]"

    @property
    def expected(self) -> str:
        """What an instance must be, in words."""
        return f"expected {_TAKEN[self.numpy_dtype.kind][1]} {self.of_shape}"

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
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_instances: int

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Interface":
        """Read workload.json or the manifest.

        Raises:
            KeyError, TypeError, ValueError: It is neither.
        """
        inputs, outputs = (tuple(map(TensorSpec.read, document[side])) for side in ("inputs", "outputs"))
        return cls(inputs, outputs, int(document["max_instances"]))

    @cached_property
    def most_commas(self) -> float:
        """More than JSON of so many instances has commas; infinite where they hold text, which may be full of them."""
        if any(spec.dtype == "string" for spec in self.inputs):
            return math.inf
        values = sum(spec.most_values + 1 for spec in self.inputs)
        return 2 * self.max_instances * values + 1000

    def smallest(self) -> Tensors:
        """A batch of one instance that the model can answer, to warm it up with."""
        return {spec.name: spec.smallest() for spec in self.inputs}


def parse_instances(body: object, interface: Interface) -> Tensors:
    """Read the instances of a predict request: bare values for a model of one input, objects for one of several.

    Args:
        body: `{"instances": [...]}` as JSON text, or already decoded (TorchServe decodes before it calls a handler).
        interface: What the model takes.

    Returns:
        An array (n, *shape) for each input, all of the same n from 1 to `max_instances`; numbers are finite.

    Raises:
        InvalidRequest: The body is not JSON, or holds anything but instances that the model takes, all of one length.
    """
    if isinstance(body, bytes | bytearray | str):
        _check_size(body, interface)
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict) or "instances" not in body:
        raise InvalidRequest('the body must be a JSON object with a list "instances"')
    instances = body["instances"]
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest('"instances" must be a list of at least one instance')
    if len(instances) > interface.max_instances:
        raise InvalidRequest(f"{len(instances)} instances in one request; the limit is {interface.max_instances}")
    if len(interface.inputs) == 1:
        (only,) = interface.inputs
        return {only.name: _column(instances, only, "")}
    _check_names(instances, [spec.name for spec in interface.inputs])
    columns = {
        spec.name: _column([one[spec.name] for one in instances], spec, f".{spec.name}") for spec in interface.inputs
    }
    _check_lengths(columns, interface.inputs)
    return columns


def encode_predictions(outputs: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Write the answer: `{"predictions": [...]}` with digits enough to read every float32 back unchanged.

    Args:
        outputs: An array (n, *shape) for each output. Predictions are bare values for one, objects for several.

    Raises:
        InvalidRequest: An output is NaN or infinite. Inputs far outside of the training data can cause that.
    """
    columns = [array.tolist() for array in outputs.values()]
    rows = columns[0]
    if len(columns) > 1:
        rows = [dict(zip(outputs, values, strict=True)) for values in zip(*columns, strict=True)]
    try:
        return _ENCODER.encode({"predictions": rows}).encode()
    except ValueError:
        raise InvalidRequest("the model has no finite answer to these instances: are they scaled right?") from None


def _check_size(body: bytes | bytearray | str, interface: Interface) -> None:
    """Refuse JSON of far more values than are served: parsed, `[],` takes thirty times its three bytes."""
    values = body.count(",") if isinstance(body, str) else body.count(b",")
    if values > interface.most_commas:
        each = " and ".join(spec.of_shape for spec in interface.inputs)
        raise InvalidRequest(f"{values} values in one request; the limit is {interface.max_instances} instances {each}")


def _check_names(instances: list[Any], names: list[str]) -> None:
    """Check that each instance is an object with exactly the inputs of the model."""
    wanted = set(names)
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise InvalidRequest(f"instances[{index}] must be a JSON object with {_listed(names)}")
        if instance.keys() != wanted:
            lacks, extra = (_listed(sorted(some)) for some in (wanted - instance.keys(), instance.keys() - wanted))
            fault = f"lacks {lacks}" if lacks else f"has {extra}"
            raise InvalidRequest(f"instances[{index}] {fault}; expected are {_listed(names)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(json.dumps(name) for name in names)


def _column(values: list[Any], spec: TensorSpec, name: str) -> npt.NDArray[Any]:
    """Read one input of all instances.

    Args:
        values: One value for each instance.
        spec: The input.
        name: What errors add to the place of an instance.
    """
    array = _as_array(values, spec)
    if array is None or not spec.fits(array.shape[1:]):
        raise InvalidRequest(_fault(values, spec, name))
    kind = spec.numpy_dtype.kind
    if kind == "U":
        return array
    if kind in "iu":
        limits = np.iinfo(spec.numpy_dtype)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise InvalidRequest(f"the instances{name} hold a number beyond {spec.dtype}")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the next lines report
        parsed = array.astype(spec.numpy_dtype)
    if kind == "f" and not np.isfinite(parsed).all():
        raise InvalidRequest(f"the instances{name} hold NaN, Infinity or a number too large for {spec.dtype}")
    if spec.minimum is not None and parsed.min() < spec.minimum:
        raise InvalidRequest(f"the instances{name} hold {parsed.min()}; the smallest value allowed is {spec.minimum}")
    if spec.maximum is not None and parsed.max() > spec.maximum:
        raise InvalidRequest(f"the instances{name} hold {parsed.max()}; the largest value allowed is {spec.maximum}")
    return parsed


def _as_array(value: object, spec: TensorSpec) -> npt.NDArray[Any] | None:
    """Return nested lists as an array, or None when they are ragged or hold what does not belong there."""
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError):
        return None
    kinds, _, only = _TAKEN[spec.numpy_dtype.kind]
    if array.size == 0:
        return array  # of no type; its shape is what is wrong with it
    if array.dtype.kind not in kinds:
        return None
    found = _types(value, array.ndim)
    # Beside numbers NumPy takes a boolean for a 0 or a 1, and beside text it turns everything into text.
    return array if (bool not in found if only is None else all(one is only for one in found)) else None


def _types(value: Any, depth: int) -> Iterable[type]:
    """The types of what is in lists nested `depth` deep."""
    for _ in range(depth - 1):
        value = chain.from_iterable(value)
    return map(type, value if depth else [value])


def _fault(values: list[object], spec: TensorSpec, name: str) -> str:
    """Say which instance is wrong and how; looked for only once something is known to be wrong."""
    shapes = []
    for index, value in enumerate(values):
        array = _as_array(value, spec)
        if array is None:
            return f"instances[{index}]{name} {_complaint(value, spec)}, {spec.expected}"
        if not spec.fits(array.shape):
            return f"instances[{index}]{name} has shape {list(array.shape)}, {spec.expected}"
        shapes.append(array.shape)
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            both = f"instances[{index}]{name} has shape {list(shape)} and instances[0]{name} {list(shapes[0])}"
            return f"{both}: the instances of one request must have the same length"
    return spec.expected


def _complaint(value: object, spec: TensorSpec) -> str:
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError):
        return "is ragged"
    kind = array.dtype.kind
    if kind in _TAKEN[spec.numpy_dtype.kind][0]:
        # Refused only because something else is among them: a boolean among numbers, anything else beside text.
        return "holds booleans" if kind in "iuf" else "holds something other than " + _TAKEN[kind][1]
    if kind == "f" and spec.numpy_dtype.kind in "iu":
        whole = float not in _types(value, array.ndim)  # NumPy takes numbers that fit no integer type for floats
        return f"holds a number beyond {spec.dtype}" if whole else "holds a number that is not whole"
    return f"holds {_KINDS.get(kind, 'something other than ' + _TAKEN[spec.numpy_dtype.kind][1])}"


def _check_lengths(columns: Tensors, inputs: Iterable[TensorSpec]) -> None:
    """Check that the inputs of an instance are of one length."""
    lengths = {spec.name: columns[spec.name].shape[spec.axis] for spec in inputs if spec.axis is not None}
    if len(set(lengths.values())) > 1:
        told = " and ".join(f"{length} of {name}" for name, length in lengths.items())
        raise InvalidRequest(f"instances[0] has {told}: the inputs of one instance must have the same length")
