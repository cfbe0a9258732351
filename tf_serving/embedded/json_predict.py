"""Predict requests and answers in JSON: row format ("instances") and column format ("inputs")."""

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tf_serving.embedded import json_values
from tf_serving.embedded.errors import invalid_argument
from tf_serving.embedded.json_body import excerpt, is_base64
from tf_serving.embedded.servable import Signature, Tensors

_WRITABLE = {"float32", "float64", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool"}


def read(document: dict[str, Any], signature: Signature, body: bytes) -> tuple[Tensors, bool]:
    """The inputs of a predict request.

    Args:
        document: the parsed body.
        signature: what the inputs are for.
        body: the body itself, to see at once whether it has booleans.

    Returns:
        the inputs by alias, and whether they came in row format.

    Raises:
        ServingError: the request does not describe tensors of the signature's types.
    """
    if "instances" in document and "inputs" in document:
        raise invalid_argument(
            f"JSON Value: {excerpt(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    has_booleans = b"true" in body or b"false" in body
    try:
        if "instances" in document:
            instances = document["instances"]
            if not isinstance(instances, list):
                message = f"JSON Value: {excerpt(document)} Expecting 'instances' to be an list/array"
                raise invalid_argument(message)
            if not instances:
                raise invalid_argument(f"JSON Value: {excerpt(document)} No values in 'instances' array")
            return _rows(instances, signature, has_booleans), True
        if "inputs" in document:
            return _columns(document["inputs"], signature, has_booleans), False
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


def _rows(instances: list[Any], signature: Signature, has_booleans: bool) -> Tensors:
    if not isinstance(instances[0], dict) or (len(signature.inputs) == 1 and is_base64(instances[0])):
        spec = _only_input(signature, "instances is a plain list", "list of objects")
        if any(_is_named(instance) for instance in instances):
            index = next(i for i, instance in enumerate(instances) if _is_named(instance))
            raise invalid_argument(f"Expecting value/list but got object at item {index} of input list")
        return {spec.alias: json_values.stack(instances, spec, has_booleans, keyed=False)}
    specs = signature.inputs
    columns: dict[str, list[Any]] = {alias: [] for alias in specs}
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict):
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
    return {alias: json_values.stack(columns[alias], spec, has_booleans, keyed=True) for alias, spec in specs.items()}


def _columns(inputs: Any, signature: Signature, has_booleans: bool) -> Tensors:
    if not _is_named(inputs):
        spec = _only_input(signature, "inputs is a plain value/list", "an object")
        return {spec.alias: json_values.tensor(inputs, spec, has_booleans)}
    for alias in signature.inputs:
        if alias not in inputs and alias not in signature.defaults:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
    return {
        alias: json_values.tensor(inputs[alias], spec, has_booleans)
        for alias, spec in signature.inputs.items()
        if alias in inputs
    }


def write(outputs: Tensors, by_row: bool) -> bytes:
    """The answer: {"predictions": ...} by row, {"outputs": ...} by column; a single output goes unnamed.

    A float has the fewest digits that give the same float32 (or float64) back.

    Raises:
        ServingError: an output has no batch dimension (by row), or a type JSON has no form for.
    """
    ready = {alias: _plain(alias, array) for alias, array in outputs.items()}
    value: Any
    if by_row:
        sizes = {}
        for alias, array in outputs.items():
            if array.ndim == 0:
                raise invalid_argument(f"Tensor name: {alias} has no shape information ")
            sizes[alias] = len(array)
        batch = next(iter(sizes.values()))
        for alias, size in sizes.items():
            if size != batch:
                raise invalid_argument(f"Tensor name: {alias} has inconsistent batch size: {size} expecting: {batch}")
        named = [{alias: ready[alias][row] for alias in ready} for row in range(batch)] if len(ready) > 1 else None
        value = {"predictions": next(iter(ready.values())) if named is None else named}
    else:
        value = {"outputs": ready if len(ready) > 1 else next(iter(ready.values()))}
    if all(isinstance(part, np.ndarray | np.generic) for part in ready.values()):
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return dump(value)


def dump(value: Any, indent: int | None = None) -> bytes:
    """JSON with what strict JSON has no place for: NaN, infinities, and strings of any bytes (as surrogates)."""
    text = json.dumps(value, ensure_ascii=False, default=to_list, indent=indent)
    return text.encode("utf-8", "surrogateescape")


def _plain(alias: str, array: npt.NDArray[Any]) -> Any:
    """The array itself if orjson can write it, else lists of Python values."""
    if array.dtype.name in _WRITABLE:
        if array.dtype.kind != "f" or np.isfinite(array).all():
            return np.ascontiguousarray(array) if array.ndim else array[()]
        return to_list(array)
    if array.dtype != object:
        raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype}")
    leaves = np.empty(array.shape, dtype=object)
    as_base64 = alias.endswith("_bytes")
    for index in np.ndindex(array.shape):
        raw: Any = array[index]
        leaves[index] = {"b64": base64.b64encode(raw).decode()} if as_base64 else raw.decode("utf-8", "surrogateescape")
    return leaves.tolist()


def to_list(array: Any) -> Any:
    """Nested lists of an array's values, each float as the float64 with the same shortest digits."""
    if array.dtype == np.float32:
        # Widened to float64, 0.1 would be written 0.10000000149011612.
        shortest = np.array([float(str(x)) for x in array.ravel()], dtype=np.float64)
        return shortest.reshape(array.shape).tolist()
    return array.tolist()
