"""The wire format of a predict call: JSON body to float32 array, and float32 array to JSON answer.

Flask and TorchServe ask the same of a client, so this module serves both: Flask imports it, and `models/mar.py` puts
it into the .mar beside TorchServe's handler. It therefore needs NumPy and nothing else.
"""

import json
import math
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS = {"b": "booleans", "U": "text"}
# NaN and Infinity are not JSON (RFC 8259, section 6), though the encoder would write them.
_ENCODER = json.JSONEncoder(allow_nan=False)


class InvalidRequest(ValueError):  # noqa: N818 - it says what the client did, as BadRequest does in Werkzeug
    """The client's body cannot be predicted from; the message says what to change."""


def parse_instances(body: object, shape: tuple[int, ...], most: int) -> npt.NDArray[np.float32]:
    """Read the instances of a predict request.

    Args:
        body: `{"instances": [...]}` as JSON text, or already decoded (TorchServe decodes before it calls a handler).
        shape: The shape of one instance, without the batch dimension.
        most: How many instances one request may hold.

    Returns:
        The instances as one array of shape (n, *shape), 1 <= n <= most, all finite.

    Raises:
        InvalidRequest: The body is not JSON, or holds anything but n instances of finite numbers in that shape.
    """
    if isinstance(body, bytes | bytearray | str):
        _check_size(body, shape, most)
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, dict) or "instances" not in body:
        raise InvalidRequest('the body must be a JSON object with a list "instances"')
    instances = body["instances"]
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest('"instances" must be a list of at least one instance')
    if len(instances) > most:
        raise InvalidRequest(f"{len(instances)} instances in one request; the limit is {most}")
    array = _as_numbers(instances)
    if array is None or array.shape[1:] != shape:
        raise InvalidRequest(_fault(instances, shape))
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which the next line reports
        parsed: npt.NDArray[np.float32] = array.astype(np.float32)
    if not np.isfinite(parsed).all():
        raise InvalidRequest("the instances hold NaN, Infinity or a number too large for float32")
    return parsed


def _check_size(body: bytes | bytearray | str, shape: tuple[int, ...], most: int) -> None:
    """Refuse JSON of far more values than are served: parsed, `[],` takes thirty times its three bytes."""
    values = body.count(",") if isinstance(body, str) else body.count(b",")
    if values > 2 * most * math.prod(shape) + 1000:
        raise InvalidRequest(f"{values} values in one request; the limit is {most} instances of shape {list(shape)}")


def encode_predictions(outputs: npt.NDArray[np.float32]) -> bytes:
    """Write the answer: `{"predictions": [...]}` with digits enough to read every float32 back unchanged.

    Args:
        outputs: Shape (n, *output shape).

    Raises:
        InvalidRequest: An output is NaN or infinite. Inputs far outside of the training data can cause that.
    """
    try:
        return _ENCODER.encode({"predictions": outputs.tolist()}).encode()
    except ValueError:
        raise InvalidRequest("the model has no finite answer to these instances: are they scaled right?") from None


def _as_numbers(value: object) -> npt.NDArray[np.generic] | None:
    """Return nested lists of numbers as an array, or None when they are ragged or hold anything else."""
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError):
        return None
    return array if array.dtype.kind in "iuf" and not _holds_booleans(value, array.ndim) else None


def _holds_booleans(value: Any, depth: int) -> bool:
    """Return whether there is a boolean in lists nested `depth` deep: beside numbers, NumPy takes it for a 0 or a 1."""
    for _ in range(depth - 1):
        value = chain.from_iterable(value)
    return bool in map(type, value if depth else [value])


def _fault(instances: list[object], shape: tuple[int, ...]) -> str:
    """Say which instance is wrong and how; looked for only once something is known to be wrong."""
    expected = f"expected numbers of shape {list(shape)}"
    for index, instance in enumerate(instances):
        array = _as_numbers(instance)
        if array is None:
            return f"instances[{index}] {_complaint(instance)}, {expected}"
        if array.shape != shape:
            return f"instances[{index}] has shape {list(array.shape)}, {expected}"
    return expected


def _complaint(instance: object) -> str:
    try:
        array = np.asarray(instance)
    except (ValueError, RecursionError):
        return "is ragged"
    kind = (
        "b" if array.dtype.kind in "iuf" else array.dtype.kind
    )  # numbers are refused only where a boolean is among them
    return f"holds {_KINDS.get(kind, 'something other than numbers')}"
