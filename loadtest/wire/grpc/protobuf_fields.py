"""Fields of protobuf messages, read and written in the wire format.

The format: https://protobuf.dev/programming-guides/encoding/. A few lines do for what the load tester sends and reads,
and a protobuf runtime would have to be the version that TensorFlow pins.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

Field = tuple[int, int, int | bytes]
"""Number, wire type and value of a field."""


def read_fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of a message in their order.

    Raises:
        ValueError: If it is no message.
    """
    position, end = 0, len(message)
    while position < end:
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _read_varint(message, position)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, position = _read_varint(message, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {kind}")
        if position + size > end:
            raise ValueError("the message is cut short")
        yield number, kind, message[position : position + size]
        position += size


def read_numbers(packed: bytes) -> list[int]:
    """Read the whole numbers of a packed repeated field.

    Raises:
        ValueError: If it is none.
    """
    numbers, position = [], 0
    while position < len(packed):
        number, position = _read_varint(packed, position)
        numbers.append(number)
    return numbers


def read_map_entry(message: bytes) -> tuple[bytes, bytes]:
    """Read key and value of an entry of a map field: a message {1: key, 2: value}; what is left out is empty."""
    parts = {number: value for number, _, value in read_fields(message) if isinstance(value, bytes)}
    return parts.get(1, b""), parts.get(2, b"")


def encode_number(field: int, value: int) -> bytes:
    """Encode a field that holds a whole number of at least 0."""
    return _varint(field << 3 | VARINT) + _varint(value)


def encode_bytes(field: int, value: bytes) -> bytes:
    """Encode a field that holds bytes, a string or a message."""
    return _varint(field << 3 | BYTES) + _varint(len(value)) + value


def encode_map_entry(key: bytes, value: bytes) -> bytes:
    """Encode an entry of a map field: a message {1: key, 2: value}."""
    return encode_bytes(1, key) + encode_bytes(2, value)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("the message is cut short")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number has more than ten bytes")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
