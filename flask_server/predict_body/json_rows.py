"""JSON, a row for each instance: `{"instances": [...]}` to arrays, and arrays to `{"predictions": [...]}`."""

import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from .body_format import Answer, BodyFormat, Headers
from .interface import (
    NOT_FINITE,
    Interface,
    InvalidRequest,
    Tensors,
    TensorSpec,
    check_lengths,
    check_values,
    listed,
    wrong_names,
)

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
    interface.check_count(len(instances))
    if len(interface.inputs) == 1:
        (only,) = interface.inputs
        return {only.name: _column(instances, only, "")}
    _check_names(instances, [spec.name for spec in interface.inputs])
    columns = {
        spec.name: _column([one[spec.name] for one in instances], spec, f".{spec.name}") for spec in interface.inputs
    }
    check_lengths(columns, interface.inputs)
    return columns


def encode_predictions(outputs: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Write the answer: `{"predictions": [...]}` with digits enough to read every float32 back unchanged.

    Args:
        outputs: An array (n, *shape) for each output. Predictions are bare values for one, objects for several.

    Raises:
        InvalidRequest: An output is NaN or infinite.
    """
    columns = [array.tolist() for array in outputs.values()]
    rows = columns[0]
    if len(columns) > 1:
        rows = [dict(zip(outputs, values, strict=True)) for values in zip(*columns, strict=True)]
    try:
        return _ENCODER.encode({"predictions": rows}).encode()
    except ValueError:
        raise InvalidRequest(NOT_FINITE) from None


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
            raise InvalidRequest(f"instances[{index}] must be a JSON object with {listed(names)}")
        if instance.keys() != wanted:
            raise wrong_names(instance, names, f"instances[{index}]")


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
    if spec.numpy_dtype.kind in "iu":
        limits = np.iinfo(spec.numpy_dtype)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise InvalidRequest(f"the instances{name} hold a number beyond {spec.dtype}")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which `check_values` reports
        parsed = array if array.dtype.kind == "U" else array.astype(spec.numpy_dtype)
    check_values(parsed, spec, name)
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
            return f"instances[{index}]{name} {_complaint(value, spec)}, {_expected(spec)}"
        if not spec.fits(array.shape):
            return f"instances[{index}]{name} has shape {list(array.shape)}, {_expected(spec)}"
        shapes.append(array.shape)
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            both = f"instances[{index}]{name} has shape {list(shape)} and instances[0]{name} {list(shapes[0])}"
            return f"{both}: the instances of one request must have the same length"
    return _expected(spec)


def _expected(spec: TensorSpec) -> str:
    return f"expected {_TAKEN[spec.numpy_dtype.kind][1]} {spec.of_shape}"


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


def _read(body: object, headers: Headers, interface: Interface) -> Tensors:
    return parse_instances(body, interface)


def _write(outputs: Tensors) -> Answer:
    return Answer(encode_predictions(outputs), JSON.content_type)


JSON = BodyFormat("application/json", _read, _write)
