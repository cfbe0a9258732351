"""HTTP/2 as far as a client of unary calls needs it: frames (RFC 9113) and header blocks (RFC 7541).

Both directions are arranged so that most of the work is done once. A request is encoded before the run, with a gap for
the stream identifier in each of its frames: its *pieces*, of which ``stream_id.join(pieces)`` makes the request. The
server is asked for a header table of size zero, so that the bytes of its header blocks do not depend on what it sent
before: equal fields are equal bytes, and an answer can be recognised by its own pieces.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 0x1, 0x1, 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD = 9
MAX_FRAME = 16_384
"""Largest payload that every peer takes, and that is taken here: neither side changes the default."""
DEFAULT_WINDOW = 65_535
MAX_WINDOW = (1 << 31) - 1
DEFAULT_TABLE = 4_096
MAX_BLOCK = 64 * 1024

ERROR_NAMES = (
    "no_error",
    "protocol_error",
    "internal_error",
    "flow_control_error",
    "settings_timeout",
    "stream_closed",
    "frame_size_error",
    "refused_stream",
    "cancel",
    "compression_error",
    "connect_error",
    "enhance_your_calm",
    "inadequate_security",
    "http_1_1_required",
)

Fields = Sequence[tuple[bytes, bytes]]

_HEAD = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")


class ProtocolError(Exception):
    """The peer sent what is not HTTP/2."""


class Frame(NamedTuple):
    """A frame that was received.

    Attributes:
        kind: Type.
        flags: Flags.
        stream: Stream identifier.
        payload: Payload.
        raw: All bytes of it.
    """

    kind: int
    flags: int
    stream: int
    payload: bytes
    raw: bytes

    @property
    def content(self) -> bytes:
        """Payload of a DATA or HEADERS frame without padding and priority (RFC 9113, 6.1 and 6.2)."""
        start, end = 0, len(self.payload)
        if self.flags & PADDED:
            start, end = 1, end - self.payload[0] if end else -1
        if self.kind == HEADERS and self.flags & PRIORITISED:
            start += 5
        if start > end:
            raise ProtocolError("more padding than payload")
        return self.payload[start:end]


class FrameReader:
    """Cuts what arrives into frames, wherever the reads happen to end."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now, and keep the rest for the next call.

        Raises:
            ProtocolError: If a frame is longer than allowed, as the first bytes of anything but HTTP/2 seem to say.
        """
        data = self.rest + data if self.rest else data
        position, end = 0, len(data)
        frames = []
        while end - position >= FRAME_HEAD:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, position)
            size = high << 8 | low
            if size > MAX_FRAME:
                raise ProtocolError(f"a frame of {size} bytes")
            stop = position + FRAME_HEAD + size
            if stop > end:
                break
            raw = data[position:stop]
            frames.append(Frame(kind, flags, stream & MAX_WINDOW, raw[FRAME_HEAD:], raw))
            position = stop
        self.rest = data[position:]
        return frames


class FieldDecoder:
    """Decodes header blocks of peers that keep no header table, and remembers those it has seen."""

    MEMORY = 1024

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(MAX_BLOCK)
        self._decoder.header_table_size = 0
        self._decoder.max_allowed_table_size = 0
        self._seen: dict[bytes, dict[bytes, bytes]] = {}

    def decode(self, block: bytes) -> dict[bytes, bytes]:
        """Return the fields; of several with one name the last.

        Raises:
            ProtocolError: If it is no header block, or one that refers to a header table.
        """
        fields = self._seen.get(block)
        if fields is None:
            try:
                fields = {bytes(name): bytes(value) for name, value in self._decoder.decode(block, raw=True)}
            except (hpack.HPACKError, ValueError) as error:
                raise ProtocolError(f"header block: {error}") from error
            if len(self._seen) >= self.MEMORY:
                self._seen.clear()  # a field with the time of day would make them many
            self._seen[block] = fields
        return fields


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Encode a frame."""
    return _head(len(payload), kind, flags) + stream.to_bytes(4, "big") + payload


def settings_frame(values: dict[int, int]) -> bytes:
    """Encode a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def decode_settings(payload: bytes) -> dict[int, int]:
    """Decode the payload of a SETTINGS frame.

    Raises:
        ProtocolError: If its length is no multiple of six.
    """
    if len(payload) % _SETTING.size:
        raise ProtocolError("SETTINGS of odd length")
    return dict(_SETTING.iter_unpack(payload))


def window_update(stream: int, increment: int) -> bytes:
    """Encode a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def read_uint31(payload: bytes, start: int = 0) -> int:
    """Read 31 bits of a frame's payload: a window increment, a stream identifier or, in practice, an error code.

    Raises:
        ProtocolError: If the payload is too short.
    """
    if len(payload) < start + 4:
        raise ProtocolError("a frame that is too short")
    return int.from_bytes(payload[start : start + 4], "big") & MAX_WINDOW


def error_name(code: int) -> str:
    """Name of an error code (RFC 9113, 7) in lower case."""
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"error_{code}"


@dataclass(frozen=True)
class RequestFields:
    """Header blocks for a request that is sent over and over.

    As the usual clients do, the first request of a connection puts the fields into the server's header table and all
    further ones refer to them, at a byte each (RFC 7541, 6.1 and 6.2.1).

    Attributes:
        first: Block of the first request of a connection.
        again: Block of any further request; equal to `literal` where the fields do not fit into a table.
        literal: Block of any request to a server with a smaller table than the default.
    """

    first: bytes
    again: bytes
    literal: bytes

    @classmethod
    def encode(cls, pseudo: bytes, fields: Fields) -> "RequestFields":
        """Encode a request's fields.

        Args:
            pseudo: Indexes of fields in the static table, one byte each.
            fields: All other fields in their order.
        """
        # A size update to zero comes first: a server that lowered its table expects one (4.2).
        literal = b"\x20" + pseudo + b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)
        # What an entry takes in the table: RFC 7541, 4.1. The newest entry has index 62; one byte holds up to 126.
        if sum(len(name) + len(value) + 32 for name, value in fields) > DEFAULT_TABLE or len(fields) > 64:
            return cls(literal, literal, literal)
        first = pseudo + b"".join(b"\x40" + _string(name) + _string(value) for name, value in fields)
        again = pseudo + bytes(0x80 | 61 + index for index in range(len(fields), 0, -1))
        return cls(first, again, literal)


def request_pieces(block: bytes, body: bytes) -> tuple[bytes, ...]:
    """Encode a HEADERS frame and the DATA frames of a body, with the stream identifiers left out."""
    pieces = [_head(len(block), HEADERS, END_HEADERS)]
    before = block
    for start in range(0, len(body), MAX_FRAME):
        part = body[start : start + MAX_FRAME]
        last = start + MAX_FRAME >= len(body)
        pieces.append(before + _head(len(part), DATA, END_STREAM if last else 0))
        before = part
    return (*pieces, before)


class ReadPattern(NamedTuple):
    """What one read from the connection brought, in a form that recognises the same on another stream.

    Attributes:
        pieces: Its bytes, with the stream identifiers left out.
        size: Bytes of the DATA frames in it, which count for flow control.
        granted: How much it widens the connection's window for sending.
    """

    pieces: tuple[bytes, ...] = ()
    size: int = 0
    granted: int = 0


def read_pattern(frames: Sequence[Frame], stream: int) -> ReadPattern | None:
    """Make the pattern of a read that brought the whole answer to one stream.

    Beside the answer there may be what servers send along with it every time: WINDOW_UPDATE frames, and a RST_STREAM
    after an answer that came before all of the request was read.

    Args:
        frames: All of the read.
        stream: The stream.

    Returns:
        None where another kind of frame is among them, which has to be handled each time.
    """
    pieces, before, size, granted = [], b"", 0, 0
    for one in frames:
        if one.stream == stream and one.kind in (DATA, HEADERS, CONTINUATION, WINDOW_UPDATE, RST_STREAM):
            size += len(one.payload) if one.kind == DATA else 0
            pieces.append(before + one.raw[:5])
            before = one.payload
        elif one.stream == 0 and one.kind == WINDOW_UPDATE:
            granted += read_uint31(one.payload)
            before += one.raw
        else:
            return None
    return ReadPattern((*pieces, before), size, granted)


def _head(size: int, kind: int, flags: int) -> bytes:
    """The first five bytes of a frame; the stream identifier follows."""
    return size.to_bytes(3, "big") + bytes((kind, flags))


def _string(value: bytes) -> bytes:
    """A string literal without Huffman coding (RFC 7541, 5.1 and 5.2)."""
    size = len(value)
    if size < 127:
        return bytes((size,)) + value
    encoded = bytearray(b"\x7f")
    size -= 127
    while size > 127:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    encoded.append(size)
    return bytes(encoded) + value
