"""TensorProto <-> NumPy, for gRPC."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import tensor_pb2

from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.runtime import tf
from tf_serving.embedded.servable import DEFAULT_SIGNATURE, Servable, Signature, Tensors

# The field of TensorProto that holds each type (tensor.proto); the narrow integers share one.
_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
}
_MORE_FIELDS = {  # written by tf.make_tensor_proto
    "object": "string_val",
    "float16": "half_val",
    "bfloat16": "half_val",
}
_ALL_FIELDS = _FIELDS | _MORE_FIELDS
_PARTS = {"int_val": np.int32, "half_val": np.uint16}

# One value may stand for a whole tensor. In the real server that is any tensor; here only so many bytes of a request
# may be implied by a shape, or a request of fifty bytes could use up the memory of the machine.
MAX_FILLED = 1024 * 1024
MAX_RANK = 64  # NumPy's limit
_STRING_BYTES = 32  # of an empty string, in an array and in a tensor


def decode_all(protos: Mapping[str, Any], signature: Signature, max_filled: float = MAX_FILLED) -> Tensors:
    """Read the inputs of a request as arrays; nothing is made of one that is not what the signature asks for.

    Args:
        protos: TensorProto by alias.
        signature: What they are for.
        max_filled: Bytes that their shapes may promise beyond the values they bring.

    Raises:
        ServingError: A tensor is missing or unknown, of another type or shape, or its values do not fill its shape.
    """
    signature.check_names(protos)
    arrays = {}
    for alias in protos:
        proto = protos[alias]
        try:
            dtype, shape = _type(proto), _shape(proto)
            signature.check(alias, dtype, shape)
            arrays[alias], filled = _decode(proto, dtype, shape, max_filled)
        except (TypeError, ValueError, KeyError, OverflowError, MemoryError) as error:
            raise invalid_argument(f"tensor parsing error: {alias} ({error})") from error
        max_filled -= filled
    return arrays


def _type(proto: Any) -> np.dtype[Any]:
    dtype = tf.as_dtype(proto.dtype)
    target: np.dtype[Any] = np.dtype(dtype.as_numpy_dtype)
    if target.name not in _ALL_FIELDS or dtype._is_ref_dtype or (target.hasobject and dtype != tf.string):
        raise TypeError(f"no values of type {dtype.name} can be sent")
    return target


def _shape(proto: Any) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > MAX_RANK or min(shape, default=0) < 0:
        raise ValueError(f"more than {MAX_RANK} dimensions, or a negative one")
    return shape


def _decode(
    proto: Any, target: np.dtype[Any], shape: tuple[int, ...], max_filled: float
) -> tuple[npt.NDArray[Any], int]:
    """Return the array, and how many bytes of it were promised only."""
    count = math.prod(shape)
    if proto.tensor_content:
        if target.hasobject or len(proto.tensor_content) != count * target.itemsize:
            raise ValueError(f"{len(proto.tensor_content)} bytes of content do not fill shape {list(shape)}")
        return np.frombuffer(proto.tensor_content, dtype=target).copy().reshape(shape), 0
    field = _ALL_FIELDS[target.name]
    sent = _values(getattr(proto, field), field, target)
    # With a dimension of 0 the count is 0, but the other dimensions still count for what is later made of the shape.
    missing = max(0, math.prod(max(size, 1) for size in shape) - len(sent))
    filled = missing * (_STRING_BYTES if target.hasobject else target.itemsize)
    if filled > max_filled:
        raise ValueError(f"{len(sent)} values for shape {list(shape)}")
    if len(sent) < count:  # the last value is repeated; without values, zero
        last = sent[-1] if len(sent) else b"" if target.hasobject else target.type(0)
        sent = np.concatenate([sent, np.full(count - len(sent), last, dtype=target)])
    return sent[:count].reshape(shape), filled


def _values(sent: Any, field: str, target: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the values of a typed field; too large an integer wraps around, as in C."""
    if field == "string_val":
        array = np.empty(len(sent), dtype=object)
        array[:] = list(sent)
        return array
    parts = np.fromiter(sent, dtype=_PARTS.get(field, target), count=len(sent))
    return parts.astype(target, copy=False) if field == "int_val" else parts.view(target)


def encode(array: npt.NDArray[Any]) -> Any:
    """Write one array as a proto: its values in the typed field, as the real server sends them.

    Args:
        array: Any shape; `object` holds bytes.
    """
    field = _FIELDS.get(array.dtype.name)
    if field is None:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(array.dtype).as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, field).extend(array.ravel().tolist())
    return proto


def predict_signature(servable: Servable, name: str) -> Signature:
    """Return the signature a PredictRequest names.

    Raises:
        ServingError: The model has none of that name.
    """
    signature = servable.find_signature(name)
    if signature is None:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.')
    return signature
