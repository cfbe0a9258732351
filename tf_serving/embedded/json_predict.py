"""Predict requests and answers in JSON: row format ("instances") and column format ("inputs")."""

import math
from typing import Any

import numpy.typing as npt

from tf_serving.embedded import json_text, json_values
from tf_serving.embedded.errors import invalid_argument
from tf_serving.embedded.json_body import excerpt, is_base64
from tf_serving.embedded.servable import Signature, Tensors


def read(document: dict[str, Any], signature: Signature, body: bytes | bytearray) -> tuple[Tensors, bool]:
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

    Raises:
        ServingError: an output has no batch dimension (by row), or a type JSON has no form for.
    """
    return _write_rows(outputs) if by_row else _write_columns(outputs)


def _write_rows(outputs: Tensors) -> bytes:
    sizes = {}
    for alias, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        sizes[alias] = len(array)
    batch = next(iter(sizes.values()))
    for alias, size in sizes.items():
        if size != batch:
            raise invalid_argument(f"Tensor name: {alias} has inconsistent batch size: {size} expecting: {batch}")
    named = len(outputs) > 1
    columns = {alias: _column(alias, array, 3 if named else 2) for alias, array in outputs.items()}
    if not named:
        return json_text.document("predictions", json_text.rows(next(iter(columns.values()))))
    instances = (
        "{" + ",".join(json_text.member(alias, column[row], 3) for alias, column in columns.items()) + "\n        }"
        for row in range(batch)
    )
    return json_text.document("predictions", json_text.nested(list(instances), [batch], 1))


def _column(alias: str, array: npt.NDArray[Any], depth: int) -> list[str]:
    """The text of every instance of one output."""
    texts = json_text.leaves(alias, array, depth + array.ndim - 1)
    if array.ndim == 1:
        return texts
    size = math.prod(array.shape[1:])
    return [json_text.nested(texts[row * size : (row + 1) * size], array.shape[1:]) for row in range(len(array))]


def _write_columns(outputs: Tensors) -> bytes:
    depth = 2 if len(outputs) > 1 else 1
    columns = {
        alias: json_text.nested(json_text.leaves(alias, array, depth + array.ndim), array.shape, depth)
        for alias, array in outputs.items()
    }
    if len(outputs) == 1:
        return json_text.document("outputs", next(iter(columns.values())))
    members = ",".join(json_text.member(alias, column, 2) for alias, column in columns.items())
    return json_text.document("outputs", "{" + members + "\n    }")
