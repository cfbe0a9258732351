"""JSON, a row for each instance: `{"instances": [...]}` to arrays, and arrays to `{"predictions": [...]}`."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from .body_format import Answer, BodyFormat, Headers
from .interface import (
    Interface,
    InvalidRequest,
    Tensors,
    TensorSpec,
    check_finite,
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
    booleans = True
    if isinstance(body, bytes | bytearray | str):
        _check_size(body, interface)
        booleans = _names_one(body, "true", "false")
        body = _decode(body)
    if not isinstance(body, dict) or "instances" not in body:
        raise InvalidRequest('the body must be a JSON object with a list "instances"')
    instances = body["instances"]
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest('"instances" must be a list of at least one instance')
    interface.check_count(len(instances))
    if len(interface.inputs) == 1:
        (only,) = interface.inputs
        return {only.name: _column(instances, only, "", booleans)}
    _check_names(instances, [spec.name for spec in interface.inputs])
    columns = {
        spec.name: _column([one[spec.name] for one in instances], spec, f".{spec.name}", booleans)
        for spec in interface.inputs
    }
    check_lengths(columns, interface.inputs)
    return columns


def encode_predictions(outputs: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Write the answer: `{"predictions": [...]}`, with the fewest digits that give back each float32 unchanged.

    Args:
        outputs: An array (n, *shape) for each output. Predictions are bare values for one, objects for several.

    Raises:
        InvalidRequest: An output is NaN or infinite, which JSON cannot say (RFC 8259, section 6).
    """
    check_finite(outputs)
    # orjson takes arrays that lie in C's order, of anything but text.
    columns: list[Any] = [
        array.tolist() if array.dtype.kind == "U" else np.ascontiguousarray(array) for array in outputs.values()
    ]
    rows = columns[0]
    if len(columns) > 1:
        rows = [dict(zip(outputs, values, strict=True)) for values in zip(*columns, strict=True)]
    return orjson.dumps({"predictions": rows}, option=orjson.OPT_SERIALIZE_NUMPY)


def _check_size(body: bytes | bytearray | str, interface: Interface) -> None:
    """Refuse JSON of far more values than are served: parsed, `[],` takes thirty times its three bytes."""
    values = body.count(",") if isinstance(body, str) else body.count(b",")
    if values > interface.most_commas:
        each = " and ".join(spec.of_shape for spec in interface.inputs)
        raise InvalidRequest(f"{values} values in one request; the limit is {interface.max_instances} instances {each}")


def _decode(text: bytes | bytearray | str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        hint = "; JSON has no NaN, Infinity or -Infinity" if _names_one(text, "NaN", "Infinity") else ""
        raise InvalidRequest(f"the body is not valid JSON: {error}{hint}") from None


def _names_one(body: bytes | bytearray | str, *words: str) -> bool:
    """Whether JSON text has one of these words anywhere: far quicker than to look at each value."""
    if isinstance(body, str):
        return any(word in body for word in words)
    return any(word.encode() in body for word in words)


def _check_names(instances: list[Any], names: list[str]) -> None:
    """Check that each instance is an object with exactly the inputs of the model."""
    wanted = set(names)
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise InvalidRequest(f"instances[{index}] must be a JSON object with {listed(names)}")
        if instance.keys() != wanted:
            raise wrong_names(instance, names, f"instances[{index}]")


def _column(values: list[Any], spec: TensorSpec, name: str, booleans: bool) -> npt.NDArray[Any]:
    """Read one input of all instances.

    Args:
        values: One value for each instance.
        spec: The input.
        name: What errors add to the place of an instance.
        booleans: Whether there may be booleans among them.
    """
    array = _as_array(values, spec, booleans)
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


def _as_array(value: object, spec: TensorSpec, booleans: bool = True) -> npt.NDArray[Any] | None:
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
    if only is None and not booleans:
        return array
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
        # Whole numbers that fit no integer type come as floats too.
        return f"holds a number that is not whole, or beyond {spec.dtype}"
    return f"holds {_KINDS.get(kind, 'something other than ' + _TAKEN[spec.numpy_dtype.kind][1])}"


def _read(body: object, headers: Headers, interface: Interface) -> Tensors:
    return parse_instances(body, interface)


def _write(outputs: Tensors) -> Answer:
    return Answer(encode_predictions(outputs), JSON.content_type)


JSON = BodyFormat("application/json", _read, _write)
