"""TensorProto <-> NumPy, for gRPC."""

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


def decode_all(protos: Mapping[str, Any]) -> Tensors:
    """Every tensor of a request as an array.

    Raises:
        ServingError: a tensor whose values do not fill its shape, or of an unknown type.
    """
    return {alias: _decode(alias, protos[alias]) for alias in protos}


def _decode(alias: str, proto: Any) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise invalid_argument(f"tensor parsing error: {alias}") from error
    return array


def encode(array: npt.NDArray[Any], as_content: bool = False) -> Any:
    """One array as a proto: its values in the typed field, as the real server sends them.

    Args:
        array: any shape; `object` holds bytes.
        as_content: put the raw bytes in tensor_content instead (strings excepted).
    """
    field = _FIELDS.get(array.dtype.name)
    if field is None:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(array.dtype).as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if as_content:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    else:
        getattr(proto, field).extend(array.ravel().tolist())
    return proto


def predict_signature(servable: Servable, name: str) -> Signature:
    """The signature a PredictRequest names.

    Raises:
        ServingError: the model has none of that name.
    """
    signature = servable.find_signature(name)
    if signature is None:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.')
    return signature
