"""JSON values -> one array of a tensor's type.

NumPy converts well-formed values at once. It is more lenient than the API, though (it reads "1.5" and true as
numbers), so whatever looks odd is gone through value by value, by the real server's rules and in its words.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.json_body import decode_base64, excerpt, type_name
from tf_serving.embedded.servable import SignatureTensor

# TensorFlow types that JSON numbers and booleans can stand for, and the kinds of NumPy array that convert to them.
_KINDS = {
    "float": "fiu",
    "double": "fiu",
    "int8": "iu",
    "int16": "iu",
    "int32": "iu",
    "int64": "iu",
    "uint8": "iu",
    "uint32": "iu",
    "uint64": "iu",
    "bool": "b",
}

MAX_RANK = 64  # NumPy's limit


def tensor(value: Any, spec: SignatureTensor, has_booleans: bool, has_text: bool = True) -> npt.NDArray[Any]:
    """Return a nested list, or a single value, as an array.

    Args:
        value: The JSON value.
        spec: The tensor it is for.
        has_booleans: Whether the request has true or false anywhere, which NumPy would take for 1 and 0.
        has_text: Whether it may have strings: NumPy would give each value as much memory as the longest of them takes.

    Raises:
        ServingError: Ragged, or not of the tensor's type.
    """
    array = _convert(value, spec, has_booleans, has_text)
    if array is not None:
        return array
    shape = _shape(value)
    return _array(list(_leaves(value, shape, spec)), shape, spec)


def stack(
    values: list[Any], spec: SignatureTensor, has_booleans: bool, has_text: bool = True, *, keyed: bool
) -> npt.NDArray[Any]:
    """Stack instances along a new first dimension; each must have the shape of the first.

    Args:
        values: One JSON value per instance, at least one.
        spec: The tensor they are for.
        has_booleans: As for `tensor`.
        has_text: As for `tensor`.
        keyed: Whether the instances are objects, so that an error names the key.

    Raises:
        ServingError: Names the first instance that is ragged, of another shape or not of the tensor's type.
    """
    array = _convert(values, spec, has_booleans, has_text)
    if array is not None:
        return array
    flat: list[Any] = []
    first = _shape(values[0])
    for index, value in enumerate(values):
        try:
            shape = _shape(value)
            flat.extend(_leaves(value, shape, spec))
            if shape != first:
                have, want = (str(sizes).replace(" ", "") for sizes in (shape, first))
                raise invalid_argument(f"Expecting shape {want} but got: {have}")
        except ServingError as error:
            where = f"{index} key: {spec.alias}" if keyed else f"{index}"
            message = f"Failed to process element: {where} of 'instances' list. Error: {error}"
            raise invalid_argument(message) from error
    return _array(flat, [len(values), *first], spec)


def _convert(value: Any, spec: SignatureTensor, has_booleans: bool, has_text: bool) -> npt.NDArray[Any] | None:
    kinds = _KINDS.get(spec.type_name)
    if kinds is None or (has_booleans and kinds != "b") or (has_text and _holds_text(value)):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):  # ragged
        return None
    if array.dtype.kind not in kinds and array.size:
        return None
    if kinds == "iu" and array.size:
        limits = np.iinfo(_wire_type(spec))
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            return None
    with np.errstate(over="ignore"):  # a double beyond float32 is infinite, as in C
        return array.astype(spec.dtype, copy=False)


def _holds_text(value: Any) -> bool:
    """Whether there is text in nested lists."""
    level = [value]
    while level:
        if str in set(map(type, level)):
            return True
        level = list(chain.from_iterable(one for one in level if type(one) is list))
    return False


def _shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def _leaves(value: Any, shape: list[int], spec: SignatureTensor, level: int = 0) -> Iterator[Any]:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise invalid_argument(
                f"JSON Value: {excerpt(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {rank}"
            )
        yield _leaf(value, spec)
        return
    if level >= rank:
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        yield from _leaves(item, shape, spec, level + 1)


def _leaf(value: Any, spec: SignatureTensor) -> Any:
    if spec.type_name == "string":
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        if isinstance(value, dict):
            return decode_base64(value)
    elif spec.type_name not in _KINDS:
        raise ServingError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {excerpt(value)} to type: {spec.type_name}")
    elif isinstance(value, bool):
        if spec.dtype.kind == "b":
            return value
    elif spec.dtype.kind == "f":
        if isinstance(value, int | float):
            try:
                return float(value)
            except OverflowError:
                raise invalid_argument("JSON Parse error: Number too big to be stored in double.") from None
    elif isinstance(value, int) and spec.dtype.kind in "iu":
        limits = np.iinfo(_wire_type(spec))
        if limits.min <= value <= limits.max:
            return value
    raise invalid_argument(
        f"JSON Value: {excerpt(value)} Type: {type_name(value)} is not of expected type: {spec.type_name}"
    )


def _wire_type(spec: SignatureTensor) -> np.dtype[Any]:
    """Return the type a value must fit. The narrow integers travel as int32 and wrap around, as in the real server."""
    return np.dtype(np.int32) if spec.dtype.kind in "iu" and spec.dtype.itemsize < 4 else spec.dtype


def _array(flat: list[Any], shape: list[int], spec: SignatureTensor) -> npt.NDArray[Any]:
    if len(shape) > MAX_RANK:
        raise invalid_argument(f"JSON Value is nested too deeply for a tensor: {len(shape)} levels")
    if spec.type_name == "string":
        array = np.empty(len(flat), dtype=object)  # np.array would make fixed-width strings and strip trailing zeros
        array[:] = flat
    else:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=np.float64 if spec.dtype.kind == "f" else _wire_type(spec)).astype(spec.dtype)
    return array.reshape(shape)
