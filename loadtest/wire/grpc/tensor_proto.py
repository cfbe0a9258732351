"""TensorProto, in which TensorFlow Serving takes and gives tensors: ``tensor.proto`` of tensorflow/tensorflow.

Its fields, and those of ``tensor_shape.proto``: TensorProto {1: dtype, 2: shape, 4: tensor_content, 5: float_val,
6: double_val, 7: int_val, 8: string_val, 10: int64_val, 11: bool_val}; TensorShapeProto {2: Dim {1: size}}. The numbers
of the types stand in ``types.proto``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.wire.grpc.protobuf_fields import BYTES, VARINT, encode_bytes, encode_number, read_fields, read_numbers

MAX_ELEMENTS = 1 << 24
STRING = 7


@dataclass(frozen=True)
class _Type:
    """An element type of fixed size.

    Attributes:
        number: Its number in ``types.proto``.
        values: The field that holds single values.
        packed: NumPy's type of a value in that field; None where each is a varint.
    """

    number: int
    values: int
    packed: str | None = None


TYPES = {
    "<f4": _Type(1, 5, "<f4"),
    "<f8": _Type(2, 6, "<f8"),
    "<i4": _Type(3, 7),
    "|u1": _Type(4, 7),
    "<i8": _Type(9, 10),
    "|b1": _Type(10, 11),
}
"""By NumPy's name of the type, little-endian as ``tensor_content`` is."""


def encode_tensor(array: npt.NDArray[Any]) -> bytes:
    """Encode an array, its numbers as ``tensor_content`` and text as ``string_val``."""
    if array.dtype.kind == "U":
        return encode_strings([text.encode() for text in array.ravel().tolist()], array.shape)
    shape = _shape(array.shape)
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    kind = TYPES[little.dtype.str]
    return encode_number(1, kind.number) + encode_bytes(2, shape) + encode_bytes(4, little.tobytes())


def encode_strings(values: Sequence[bytes], shape: Sequence[int] | None = None) -> bytes:
    """Encode strings as ``string_val``, in one dimension where no shape is given."""
    told = _shape([len(values)] if shape is None else shape)
    return encode_number(1, STRING) + encode_bytes(2, told) + b"".join(encode_bytes(8, value) for value in values)


def _shape(sizes: Sequence[int]) -> bytes:
    return b"".join(encode_bytes(2, encode_number(1, size)) for size in sizes)


def decode_tensor(message: bytes) -> npt.NDArray[Any]:
    """Decode an array.

    Raises:
        ValueError: If the message is none, or its type is not one of `TYPES` or text.
    """
    dtype, shape, content = 0, b"", b""
    values: list[tuple[int, int, int | bytes]] = []
    for number, kind, value in read_fields(message):
        if number == 1 and isinstance(value, int):
            dtype = value
        elif number == 2 and isinstance(value, bytes):
            shape = value
        elif number == 4 and isinstance(value, bytes):
            content = value
        else:
            values.append((number, kind, value))
    sizes = [_dimension(value) for number, _, value in read_fields(shape) if number == 2 and isinstance(value, bytes)]
    if prod(sizes) > MAX_ELEMENTS:
        raise ValueError(f"the output tensor claims to have {prod(sizes)} elements")
    flat = _values(dtype, content, values)
    missing = prod(sizes) - flat.size
    if missing > 0 and flat.size and not content:
        # The last value stands for all that follow (tensor.proto).
        flat = np.pad(flat, (0, missing), mode="edge")
    return flat.reshape(sizes)


def _values(dtype: int, content: bytes, fields: list[tuple[int, int, int | bytes]]) -> npt.NDArray[Any]:
    if dtype == STRING:
        texts = [value.decode() for number, _, value in fields if number == 8 and isinstance(value, bytes)]
        return np.array(texts, np.str_)
    found = next(((name, kind) for name, kind in TYPES.items() if kind.number == dtype), None)
    if found is None:
        raise ValueError(f"the output tensor has data type {dtype}, not a number, a boolean or text")
    name, kind = found
    if content:
        return np.frombuffer(content, dtype=name)
    mine = [(wire, value) for number, wire, value in fields if number == kind.values]
    if kind.packed:
        # Packed, or one fixed-size value at a time: the bytes are the same.
        return np.frombuffer(b"".join(value for _, value in mine if isinstance(value, bytes)), dtype=kind.packed)
    return np.array([value for wire, one in mine for value in _varints(wire, one)], np.int64).astype(name)


def _varints(wire: int, value: int | bytes) -> Iterator[int]:
    """Whole numbers, packed or one at a time; negative ones stand as their two's complement in 64 bits."""
    found = [value] if wire == VARINT and isinstance(value, int) else []
    if wire == BYTES and isinstance(value, bytes):
        found = read_numbers(value)
    for number in found:
        yield number - (1 << 64) if number >= 1 << 63 else number


def _dimension(message: bytes) -> int:
    """TensorShapeProto.Dim {1: size}; a size of zero is left out."""
    sizes = [value for number, _, value in read_fields(message) if number == 1 and isinstance(value, int)]
    return sizes[-1] if sizes else 0
