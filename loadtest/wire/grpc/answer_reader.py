"""The answer to a unary gRPC call: putting it together, and what it means."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from loadtest.wire.grpc.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, MAX_BLOCK, Frame, ProtocolError

STATUS_NAMES = (
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
)
"""Status codes of gRPC by number, in lower case."""

MESSAGE_PREFIX = 5
"""Bytes before a message: a flag, zero where it is not compressed, and its length in four bytes."""

Fields = dict[bytes, bytes]


@dataclass
class AnswerReader:
    """What has arrived of the answer to a call.

    Attributes:
        reads: Reads that brought a part of it.
        begun: Whether a frame of it has arrived.
        size: Bytes of its DATA frames, padding included: what counts for flow control.
        head: Fields before the message; none where there is no message.
        trailers: Fields after the message, or the only ones.
        body: The message with its prefix, in parts.
    """

    reads: int = 0
    begun: bool = False
    size: int = 0
    head: Fields = field(default_factory=dict)
    trailers: Fields = field(default_factory=dict)
    body: list[bytes] = field(default_factory=list)
    _block: bytes = b""
    _ends: bool = False

    def take(self, frame: Frame, decode: Callable[[bytes], Fields]) -> bool:
        """Add a DATA, HEADERS or CONTINUATION frame.

        Args:
            frame: The frame.
            decode: Decodes a header block.

        Returns:
            Whether the answer is complete.

        Raises:
            ProtocolError: If the frame is malformed.
        """
        self.begun = True
        if frame.kind == DATA:
            self.size += len(frame.payload)
            self.body.append(frame.content)
            return bool(frame.flags & END_STREAM)
        if frame.kind == HEADERS:
            self._ends = bool(frame.flags & END_STREAM)
        self._block += frame.content
        if len(self._block) > MAX_BLOCK:
            raise ProtocolError("endless header fields")
        if not frame.flags & END_HEADERS:
            return False
        fields, self._block = decode(self._block), b""
        if fields.get(b":status", b"").startswith(b"1"):
            return False  # an interim answer
        if self._ends:
            self.trailers = fields
        elif self.head:
            raise ProtocolError("header fields in the middle of an answer")
        else:
            self.head = fields
        return self._ends

    def outcome(self) -> tuple[str, bytes]:
        """Judge a complete answer.

        Returns:
            The error kind, or nothing where the call succeeded; and the response message.
        """
        first = self.head or self.trailers
        http_status = first.get(b":status", b"")
        if http_status != b"200":
            return (
                f"http_{http_status.decode(errors='replace')}" if http_status.isdigit() else "malformed_response",
                b"",
            )
        if not first.get(b"content-type", b"").startswith(b"application/grpc"):
            return "not_grpc", b""
        status = self.trailers.get(b"grpc-status", b"")
        if status != b"0":
            if not status:
                return "no_grpc_status", b""
            known = status.isdigit() and int(status) < len(STATUS_NAMES)
            return f"grpc_{STATUS_NAMES[int(status)]}" if known else "grpc_unknown", b""
        body = b"".join(self.body)
        if len(body) < MESSAGE_PREFIX or body[0] or int.from_bytes(body[1:5], "big") != len(body) - MESSAGE_PREFIX:
            return "malformed_response", b""
        return "", body[MESSAGE_PREFIX:]

    @property
    def detail(self) -> str:
        """The server's own words on an error, percent-encoded in ``grpc-message``."""
        return unquote(self.trailers.get(b"grpc-message", b"").decode(errors="replace"))
