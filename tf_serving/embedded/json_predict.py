"""Predict requests and answers in JSON: row format ("instances") and column format ("inputs")."""

import base64
import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from tf_serving.embedded import json_values
from tf_serving.embedded.errors import invalid_argument
from tf_serving.embedded.json_body import excerpt, is_base64
from tf_serving.embedded.servable import Signature, Tensors


class Odd(NamedTuple):
    """What a request may have among its values, by the looks of its body.

    Attributes:
        booleans: true or false.
        text: Strings; the names of several inputs look like them.
    """

    booleans: bool
    text: bool


_WRITABLE = {"float32", "float64", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool"}


def read(document: dict[str, Any], signature: Signature, body: bytes | bytearray) -> tuple[Tensors, bool]:
    """Read the inputs of a predict request.

    Args:
        document: The parsed body.
        signature: What the inputs are for.
        body: The body itself, to search it for booleans and text.

    Returns:
        The inputs by alias, and whether they came in row format.

    Raises:
        ServingError: The request does not describe tensors of the signature's types.
    """
    if "instances" in document and "inputs" in document:
        raise invalid_argument(
            f"JSON Value: {excerpt(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    # Two quotes are those of "instances", or of "inputs".
    odd = Odd(b"true" in body or b"false" in body, body.count(b'"') > 2)
    try:
        if "instances" in document:
            instances = document["instances"]
            if not isinstance(instances, list):
                message = f"JSON Value: {excerpt(document)} Expecting 'instances' to be an list/array"
                raise invalid_argument(message)
            signature.check_count(len(instances))
            if not instances:
                raise invalid_argument(f"JSON Value: {excerpt(document)} No values in 'instances' array")
            return _rows(instances, signature, odd), True
        if "inputs" in document:
            return _columns(document["inputs"], signature, odd), False
    except RecursionError as error:
        raise invalid_argument("JSON Value is nested too deeply for a tensor") from error
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _only_input(signature: Signature, found: str, wanted: str) -> Any:
    if len(signature.inputs) != 1:
        raise invalid_argument(
            f"{found}, but expecting {wanted} as multiple input tensors required as per tensorinfo_map"
        )
    return next(iter(signature.inputs.values()))


def _is_named(instance: Any) -> bool:
    return isinstance(instance, dict) and not is_base64(instance)


def _rows(instances: list[Any], signature: Signature, odd: Odd) -> Tensors:
    if not isinstance(instances[0], dict) or (len(signature.inputs) == 1 and is_base64(instances[0])):
        spec = _only_input(signature, "instances is a plain list", "list of objects")
        if any(_is_named(instance) for instance in instances):
            index = next(i for i, instance in enumerate(instances) if _is_named(instance))
            raise invalid_argument(f"Expecting value/list but got object at item {index} of input list")
        return {spec.alias: json_values.stack(instances, spec, *odd, keyed=False)}
    specs = signature.inputs
    columns: dict[str, list[Any]] = {alias: [] for alias in specs}
    for index, instance in enumerate(instances):
        if not _is_named(instance):
            raise invalid_argument(f"Expecting object but got list at item {index} of input list")
        for alias, value in instance.items():
            if alias not in specs:
                raise invalid_argument(
                    f"Failed to process element: {index} key: {alias} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: JSON object: does not have named input: {alias}"
                )
            columns[alias].append(value)
        if instance.keys() != specs.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{excerpt(instance)} keys must be equal to: {','.join(specs)}"
            )
    return {alias: json_values.stack(columns[alias], spec, *odd, keyed=True) for alias, spec in specs.items()}


def _columns(inputs: Any, signature: Signature, odd: Odd) -> Tensors:
    if not _is_named(inputs):
        spec = _only_input(signature, "inputs is a plain value/list", "an object")
        return {spec.alias: json_values.tensor(inputs, spec, *odd)}
    for alias in signature.inputs:
        if alias not in inputs and alias not in signature.defaults:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
    return {
        alias: json_values.tensor(inputs[alias], spec, *odd)
        for alias, spec in signature.inputs.items()
        if alias in inputs
    }


def write(outputs: Tensors, by_row: bool) -> bytes:
    """Write the answer: {"predictions": ...} by row, {"outputs": ...} by column; a single output goes unnamed.

    Every float32 and float64 has as many digits as it takes to read the same value back.

    Raises:
        ServingError: An output has no batch dimension (by row), or a type JSON has no form for.
    """
    values: dict[str, Any] = {alias: _writable(alias, array) for alias, array in outputs.items()}
    if by_row:
        _check_rows(outputs)
    if len(values) == 1:
        (answer,) = values.values()
    elif by_row:
        answer = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        answer = values
    document = {"predictions" if by_row else "outputs": answer}
    plain = all(array.dtype != object for array in outputs.values())
    if plain and all(np.isfinite(array).all() for array in outputs.values()):
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    # orjson writes null for NaN, where the real server writes NaN, and refuses text that is not UTF-8.
    return json.dumps(document, ensure_ascii=False, default=_plain).encode("utf-8", "surrogateescape")


def _plain(value: Any) -> Any:
    """Return a NumPy value as Python's; for a float32 the double that has the same few digits."""
    return (value.astype(np.str_).astype(np.float64) if value.dtype == np.float32 else value).tolist()


def _writable(alias: str, array: npt.NDArray[Any]) -> Any:
    """Return what stands for an output in JSON: strings as text, or as base64 where the name ends in _bytes."""
    if array.dtype.name in _WRITABLE:
        return np.ascontiguousarray(array) if array.ndim else array[()]
    if array.dtype != object:
        raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype}")
    if alias.endswith("_bytes"):
        texts = [{"b64": base64.b64encode(raw).decode()} for raw in array.flat]
    else:
        texts = [raw.decode("utf-8", "surrogateescape") for raw in array.flat]
    found = np.empty(array.size, dtype=object)
    found[:] = texts
    return found.reshape(array.shape).tolist()


def _check_rows(outputs: Tensors) -> None:
    batch: int | None = None
    for alias, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        batch = len(array) if batch is None else batch
        if len(array) != batch:
            raise invalid_argument(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {batch}")
