"""gRPC calls as bytes, right or wrong: preface, settings, header fields, messages."""

from collections.abc import Callable, Iterable

from loadtest.resilience.hostile.request import Paced, Part, whole
from loadtest.wire.grpc import http2

STREAM = 1

# This client keeps no header table, and takes answers of up to a megabyte.
SETTINGS = {http2.HEADER_TABLE_SIZE: 0, http2.ENABLE_PUSH: 0, http2.INITIAL_WINDOW_SIZE: 1 << 20}
GREETING = http2.PREFACE + http2.settings_frame(SETTINGS)


def fields(target: str, /, **changed: str | None) -> list[tuple[bytes, bytes]]:
    """Header fields of a call.

    Args:
        target: Full name of the method.
        changed: Others by their names, with underscores for dashes; None leaves one out.
    """
    all_fields: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": target,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    all_fields |= {_name(name): value for name, value in changed.items()}
    return [(name.encode(), value.encode("latin-1")) for name, value in all_fields.items() if value is not None]


def _name(name: str) -> str:
    name = name.replace("_", "-")
    return f":{name}" if name in ("method", "scheme", "path", "authority", "status") else name


def block(all_fields: list[tuple[bytes, bytes]]) -> bytes:
    """A header block that needs no table."""
    return http2.RequestFields.encode(b"", all_fields).literal


def headers(target: str, /, *, flags: int = http2.END_HEADERS, stream: int = STREAM, **changed: str | None) -> bytes:
    """A HEADERS frame."""
    return http2.frame(http2.HEADERS, flags, stream, block(fields(target, **changed)))


def prefixed(message: bytes, flag: int = 0, size: int | None = None) -> bytes:
    """A message with its length before it, which may be a lie."""
    return bytes((flag,)) + (len(message) if size is None else size).to_bytes(4, "big") + message


def call(target: str, message: bytes, /, **changed: str | None) -> Callable[[], Iterable[Part]]:
    """A well-formed call."""
    return whole(
        GREETING + http2.frame(http2.HEADERS, http2.END_HEADERS, STREAM, block(fields(target, **changed))),
        Paced(prefixed(message)),
    )
