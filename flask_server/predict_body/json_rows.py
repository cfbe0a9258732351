"""JSON, a row for each instance: `{"instances": [...]}` to arrays, and arrays to `{"predictions": [...]}`."""

from collections.abc import Iterator, Mapping
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

_NAMES: dict[type, str] = {bool: "booleans", str: "text", int: "numbers", float: "numbers"}
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
    quotes = None
    if isinstance(body, bytes | bytearray | str):
        _check_size(body, interface)
        if not _names_one(body, "true", "false"):
            quotes = body.count('"') if isinstance(body, str) else body.count(b'"')
        body = _decode(body)
    if not isinstance(body, dict) or "instances" not in body:
        raise InvalidRequest('the body must be a JSON object with a list "instances"')
    instances = body["instances"]
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest('"instances" must be a list of at least one instance')
    interface.check_count(len(instances))
    # As many quotes as the names take, and no booleans: surely numbers. That is quicker than to look at each value.
    names = len(interface.inputs) * len(instances) if len(interface.inputs) > 1 else 0
    plain = quotes == 2 * (1 + names)
    if len(interface.inputs) == 1:
        (only,) = interface.inputs
        return {only.name: _column(instances, only, "", interface, plain)}
    _check_names(instances, [spec.name for spec in interface.inputs])
    columns = {
        spec.name: _column([one[spec.name] for one in instances], spec, f".{spec.name}", interface, plain)
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


def _column(values: list[Any], spec: TensorSpec, name: str, interface: Interface, plain: bool) -> npt.NDArray[Any]:
    """Read one input of all instances.

    Args:
        values: One value for each instance.
        spec: The input.
        name: What errors add to the place of an instance.
        interface: Says how much memory text may take.
        plain: Whether there are surely neither booleans nor text among them.
    """
    array = _as_array(values, spec, interface, plain)
    if array is None or not spec.fits(array.shape[1:]):
        raise InvalidRequest(_fault(values, spec, name, interface))
    if spec.numpy_dtype.kind in "iu":
        limits = np.iinfo(spec.numpy_dtype)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise InvalidRequest(f"the instances{name} hold a number beyond {spec.dtype}")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which `check_values` reports
        parsed = array if array.dtype.kind == "U" else array.astype(spec.numpy_dtype)
    check_values(parsed, spec, name)
    return parsed


def _as_array(value: object, spec: TensorSpec, interface: Interface, plain: bool = False) -> npt.NDArray[Any] | None:
    """Return nested lists as an array, or None when they are ragged or hold what does not belong there.

    Raises:
        InvalidRequest: It is text that would take too much memory.
    """
    kinds, _, only = _TAKEN[spec.numpy_dtype.kind]
    if not plain or only is not None:
        # Before NumPy sees them: beside numbers it takes a boolean for a 0 or a 1, beside text it turns everything into
        # text, and it gives each element of text as much memory as the longest one needs.
        found = _types(value)
        if found & {bool, str} if only is None else found - {only}:
            return None
        if only is str:
            _check_text_size(value, interface)
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError):
        return None
    if array.size == 0:
        return array  # of no type; its shape is what is wrong with it
    return array if array.dtype.kind in kinds else None


def _types(value: object) -> set[type]:
    """The types of what is in nested lists, however deep."""
    return {kind for level in _levels(value) for kind in map(type, level)} - {list}


def _levels(value: object) -> Iterator[list[Any]]:
    """What is in nested lists, level by level."""
    level = [value]
    while level:
        yield level
        level = list(chain.from_iterable(one for one in level if type(one) is list))


def _check_text_size(value: object, interface: Interface) -> None:
    texts = [one for level in _levels(value) for one in level if type(one) is str]
    size = 4 * len(texts) * max(map(len, texts), default=0)
    if size > interface.max_request_bytes:
        raise InvalidRequest(f"{len(texts)} texts, each as long as the longest one, take {size} bytes; send fewer")


def _fault(values: list[object], spec: TensorSpec, name: str, interface: Interface) -> str:
    """Say which instance is wrong and how; looked for only once something is known to be wrong."""
    shapes = []
    for index, value in enumerate(values):
        array = _as_array(value, spec, interface)
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
    found, wanted = _types(value), spec.numpy_dtype.kind
    allowed = {str} if wanted == "U" else {bool} if wanted == "b" else {int, float}
    odd = found - allowed
    if odd:
        # One kind of thing is named; a mixture is not.
        kinds = {_NAMES.get(kind, "") for kind in odd}
        mixed = len(kinds) > 1 or (wanted in "Ub" and found & allowed)
        return f"holds {'something other than ' + _TAKEN[wanted][1] if mixed or kinds == {''} else kinds.pop()}"
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError):
        return "is ragged"
    if array.dtype.kind == "f" and wanted in "iu":
        # Whole numbers that fit no integer type come as floats too.
        return f"holds a number that is not whole, or beyond {spec.dtype}"
    return f"holds something other than {_TAKEN[wanted][1]}"


def _read(body: object, headers: Headers, interface: Interface) -> Tensors:
    return parse_instances(body, interface)


def _write(outputs: Tensors) -> Answer:
    return Answer(encode_predictions(outputs), JSON.content_type)


JSON = BodyFormat("application/json", _read, _write)
