"""Calls that are no gRPC, or no HTTP/2, or too much of it."""

import gzip
import random
import struct
from collections.abc import Iterator

from loadtest.resilience.hostile.bombs import MIB, gzip_bomb
from loadtest.resilience.hostile.grpc_bytes import GREETING, SETTINGS, block, call, fields, headers, prefixed
from loadtest.resilience.hostile.grpc_listener import MARK
from loadtest.resilience.hostile.request import (
    ANSWERED,
    BARE,
    CLOSED,
    FAULT,
    SLOW,
    WAITED,
    HostileRequest,
    Paced,
    whole,
)
from loadtest.wire.grpc import http2

FRAMES, FLOODS, MESSAGES, FIELDS = "gRPC: frames", "gRPC: floods", "gRPC: framing of messages", "gRPC: header fields"
SLOW_CLIENTS = f"gRPC: {SLOW}"
PATIENCE_S = 36.0

EITHER = frozenset({CLOSED, ANSWERED})
PING = http2.frame(http2.PING, 0, 0, MARK)


def frame_requests(path: str, message: bytes) -> Iterator[HostileRequest]:
    """All of them, made from a right call: its method and its message."""
    yield from _frames(path, message)
    yield from _fields(path, message)
    yield from _messages(path, message)
    yield from _floods(path, message)
    yield from _slow(path, message)


def _frames(path: str, message: bytes) -> Iterator[HostileRequest]:
    head, data = headers(path), http2.frame(http2.DATA, http2.END_STREAM, 1, prefixed(message[:8000]))
    wrong = "an error of the connection or of the stream (RFC 9113, 5.4)"
    for name, content in (
        ("an HTTP/1.1 request", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
        ("a TLS greeting", bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 194),
        ("random bytes", random.Random(3).randbytes(4096)),
        ("a preface with one byte altered", GREETING.replace(b"SM", b"SN", 1) + head + data),
        ("no settings after the preface", http2.PREFACE + head + data),
        ("settings of 5 bytes", GREETING + http2.frame(http2.SETTINGS, 0, 0, bytes(5))),
        ("settings on a stream", GREETING + http2.frame(http2.SETTINGS, 0, 1)),
        ("an acknowledgement with a payload", GREETING + http2.frame(http2.SETTINGS, http2.ACK, 0, bytes(6))),
        ("a window of 2**31", GREETING + http2.settings_frame({http2.INITIAL_WINDOW_SIZE: 1 << 31})),
        ("frames of 2**24", GREETING + http2.settings_frame({5: 1 << 24})),
        ("push set to 2", GREETING + http2.settings_frame({http2.ENABLE_PUSH: 2})),
        ("a window that grows by 0", GREETING + http2.window_update(0, 0)),
        ("a window beyond 2**31", GREETING + http2.window_update(0, (1 << 31) - 1) * 2),
        ("DATA on stream 0", GREETING + http2.frame(http2.DATA, 0, 0, b"x")),
        ("DATA on a stream that is not open", GREETING + http2.frame(http2.DATA, 0, 5, b"x")),
        ("HEADERS on stream 0", GREETING + headers(path, stream=0)),
        ("HEADERS on an even stream", GREETING + headers(path, stream=2)),
        ("a stream lower than the last", GREETING + headers(path, stream=5) + headers(path, stream=3)),
        ("CONTINUATION without HEADERS", GREETING + http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1, b"\x82")),
        ("DATA in the middle of HEADERS", GREETING + headers(path, flags=0) + data),
        ("RST_STREAM on stream 0", GREETING + http2.frame(http2.RST_STREAM, 0, 0, bytes(4))),
        ("RST_STREAM of 3 bytes", GREETING + head + http2.frame(http2.RST_STREAM, 0, 1, bytes(3))),
        ("RST_STREAM on a stream that is not open", GREETING + http2.frame(http2.RST_STREAM, 0, 9, bytes(4))),
        ("PING of 7 bytes", GREETING + http2.frame(http2.PING, 0, 0, bytes(7))),
        ("GOAWAY of 4 bytes", GREETING + http2.frame(http2.GOAWAY, 0, 0, bytes(4))),
        ("PUSH_PROMISE from a client", GREETING + http2.frame(http2.PUSH_PROMISE, http2.END_HEADERS, 1, bytes(5))),
        ("a stream that depends on itself", GREETING + http2.frame(http2.PRIORITY, 0, 1, b"\0\0\0\1\0")),
        ("more padding than payload", GREETING + head + http2.frame(http2.DATA, http2.PADDED, 1, b"\xffabc")),
        ("a frame of 16 MB", GREETING + head + b"\xff\xff\xff\0\0\0\0\0\1" + bytes(100_000)),
        ("a header block that is none", GREETING + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b"\xff" * 50)),
        ("an index beyond the table", GREETING + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b"\xbe")),
        (
            "a header table of 4 GB",
            GREETING + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x0f"),
        ),
        (
            "a string longer than its frame",
            GREETING + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b"\x00\x7f\xff\x7fa"),
        ),
    ):
        # What is legal here, or is passed over, is asked by the ping whether the connection goes on.
        yield HostileRequest(
            name, FRAMES, whole(content + PING), EITHER | {FAULT}, f"{wrong}; gRPC calls it INTERNAL", patience_s=5
        )
    yield HostileRequest(
        "a frame of a kind nobody has",
        FRAMES,
        whole(GREETING + http2.frame(0xEE, 0xFF, 0, b"x") + head, Paced(prefixed(message))),
        frozenset({ANSWERED}),
        "it is to be passed over (RFC 9113, 4.1)",
    )
    yield HostileRequest(
        "a call without an end, then the stream is reset",
        FRAMES,
        whole(GREETING + head + http2.frame(http2.RST_STREAM, 0, 1, (8).to_bytes(4, "big")) + PING),
        EITHER,
        "a call may be cancelled",
    )
    yield HostileRequest(
        "DATA after the end of the stream", FRAMES, whole(GREETING + head + data + data + PING), EITHER, wrong
    )
    beyond = http2.frame(http2.DATA, 0, 1, bytes(16_384))
    yield HostileRequest(
        "20 MB beyond every window",
        FRAMES,
        whole(GREETING + head, *[beyond * 10] * 128),
        frozenset({CLOSED, FAULT}),
        wrong,
    )


def _fields(path: str, message: bytes) -> Iterator[HostileRequest]:
    # The protocol of gRPC leaves it open how a server refuses what is no gRPC: a status of HTTP, or of gRPC.
    open_to = frozenset({CLOSED, BARE, ANSWERED, FAULT})
    why = "malformed (RFC 9113, 8.1.1) or no gRPC (gRPC over HTTP/2, Requests): a status of HTTP, or a reset"
    for name, changed in (
        ("no path", {"path": None}),
        ("an empty path", {"path": ""}),
        ("a path without a slash", {"path": "no-slash"}),
        ("a path of 100 KB", {"path": "/" + "a" * 15_000}),
        ("GET", {"method": "GET"}),
        ("no method", {"method": None}),
        ("no scheme", {"scheme": None}),
        ("a scheme nobody has", {"scheme": "gopher"}),
        ("no te", {"te": None}),
        ("another te", {"te": "gzip"}),
        ("no content type", {"content_type": None}),
        ("JSON", {"content_type": "application/json"}),
        ("gRPC with JSON", {"content_type": "application/grpc+json"}),
        ("gRPC-Web", {"content_type": "application/grpc-web"}),
        ("a connection field", {"connection": "keep-alive"}),
        ("a field with a line break", {"x-bad": "a\r\nb"}),
        ("a field with a NUL byte", {"x-bad": "a\0b"}),
        ("a field in capitals", {"X-Capital": "1"}),
        ("binary metadata that is no base64", {"x-bin": "!!!"}),
        ("a status", {"status": "200"}),
        ("a timeout of nonsense", {"grpc_timeout": "soon"}),
        ("a timeout of 9 digits", {"grpc_timeout": "999999999S"}),
        ("a negative timeout", {"grpc_timeout": "-1S"}),
        ("a timeout of a nanosecond", {"grpc_timeout": "1n"}),
    ):
        yield HostileRequest(name, FIELDS, call(path, message, **changed), open_to, why, patience_s=5)
    large = [(b"x-%d" % at, b"a" * 100) for at in range(140)]
    for name, parts in (
        (
            "140 fields",
            [headers(path, flags=0), http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1, block(large)[1:])],
        ),
        ("a field of 1 MB", [headers(path, flags=0), *_continued(block([(b"x-large", b"a" * MIB)])[1:])]),
        ("100,000 fields", [headers(path, flags=0), *_continued(block([(b"x", b"1")] * 100_000)[1:])]),
    ):
        yield HostileRequest(
            name,
            FIELDS,
            whole(GREETING + b"".join(parts), Paced(prefixed(message))),
            open_to,
            "more than a server announces, or reads (RFC 9113, 10.5.1)",
            patience_s=5,
        )


def _continued(content: bytes) -> list[bytes]:
    parts = [content[at : at + 16_000] for at in range(0, len(content), 16_000)]
    return [
        http2.frame(http2.CONTINUATION, http2.END_HEADERS if at == len(parts) - 1 else 0, 1, part)
        for at, part in enumerate(parts)
    ]


def _messages(path: str, message: bytes) -> Iterator[HostileRequest]:
    head = GREETING + headers(path)
    internal = frozenset({CLOSED, FAULT, BARE})
    why = "no message: INTERNAL, by the libraries of gRPC themselves (gRPC status codes; compression.md)"
    for name, content in (
        ("4 bytes of a length", b"\0\0\0\0"),
        ("a length beyond the message", prefixed(message, size=len(message) + 10)),
        ("a length short of the message", prefixed(message, size=max(0, len(message) - 10))),
        ("compressed, with no coding named", prefixed(gzip.compress(message), 1)),
        ("a flag of 2", prefixed(message, 2)),
        ("a flag of 255", prefixed(message, 255)),
    ):
        yield HostileRequest(name, MESSAGES, whole(head, Paced(content)), internal, why, patience_s=5)
    twice = whole(head, Paced(prefixed(message) * 2))
    first = "not laid down: gRPC's own library for Python takes the first one"
    yield HostileRequest("two messages where one is taken", MESSAGES, twice, internal | {ANSWERED}, first, patience_s=5)
    nothing = GREETING + headers(path, flags=http2.END_HEADERS | http2.END_STREAM)
    yield HostileRequest("no message", MESSAGES, whole(nothing), internal, why, patience_s=5)
    for name, size in (("4 GB", 0xFFFFFFFF), ("200 MB", 200 * MIB), ("2 GB", 0x7FFFFFFF)):
        for more, ends in ((", of which nothing comes", False), (", of which a part comes", True)):
            begun = Paced(prefixed(message if ends else b"", size=size), ends)
            yield HostileRequest(
                f"a length of {name}{more}",
                MESSAGES,
                whole(head, begun, 3.0),
                internal | {WAITED},
                why,
                leaves=True,
            )
    for name, coding, content in (
        ("a coding nobody has", "no-such", message),
        ("gzip that is none", "gzip", message),
        ("gzip cut short", "gzip", gzip.compress(message)[:-5]),
        ("deflate that is none", "deflate", b"x" * 50),
    ):
        yield HostileRequest(
            name,
            MESSAGES,
            whole(GREETING + headers(path, grpc_encoding=coding), Paced(prefixed(content, 1))),
            internal,
            why,
            patience_s=5,
        )
    yield HostileRequest(
        "1 GB as 1 MB of gzip",
        MESSAGES,
        lambda: [GREETING + headers(path, grpc_encoding="gzip"), Paced(prefixed(gzip_bomb(bytes(1)), 1))],
        internal,
        why,
        patience_s=30,
    )
    yield HostileRequest(
        "a message of 200 MB, sent in full",
        MESSAGES,
        lambda: [head, *(Paced(part, at == 200) for at, part in enumerate(_large()))],
        internal,
        why,
        patience_s=30,
    )


def _floods(path: str, message: bytes) -> Iterator[HostileRequest]:
    small = prefixed(message[:100])
    calm = "a peer that makes too much work may be sent away (RFC 9113, 10.5)"

    def flood(name: str, content: bytes) -> HostileRequest:
        return HostileRequest(
            name, FLOODS, whole(GREETING + content + PING), EITHER | {FAULT}, calm, answers=1 << 30, patience_s=20
        )

    yield flood("20,000 pings", http2.frame(http2.PING, 0, 0, bytes(8)) * 20_000)
    yield flood("20,000 settings", http2.settings_frame(SETTINGS) * 20_000)
    yield flood("20,000 empty DATA frames", headers(path) + http2.frame(http2.DATA, 0, 1) * 20_000)
    yield flood(
        "20,000 empty CONTINUATION frames", headers(path, flags=0) + http2.frame(http2.CONTINUATION, 0, 1) * 20_000
    )
    yield flood("20,000 window updates", http2.window_update(0, 1) * 20_000)
    yield flood(
        "20,000 priorities", b"".join(http2.frame(http2.PRIORITY, 0, at * 2 + 1, bytes(5)) for at in range(20_000))
    )
    reset = (8).to_bytes(4, "big")
    rapid = b"".join(
        headers(path, stream=at)
        + http2.frame(http2.DATA, http2.END_STREAM, at, small)
        + http2.frame(http2.RST_STREAM, 0, at, reset)
        for at in range(1, 4001, 2)
    )
    yield flood("2,000 calls, each reset at once", rapid)
    yield flood("2,000 calls that never end", b"".join(headers(path, stream=at) for at in range(1, 4001, 2)))
    table = b"\x40\x01a\x7f\x81\x1e" + b"v" * 3968  # a field of 4,000 bytes goes into the header table,
    bomb = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block(fields(path))[1:] + table + b"\xbe" * 10_000)
    yield flood("a header bomb of 40 MB in 14 kB", bomb)  # and 10,000 single bytes refer to it


def _slow(path: str, message: bytes) -> Iterator[HostileRequest]:
    waits = "no time is set for a client to send: it must cost others nothing"
    data = prefixed(message)
    for name, content, connections in (
        ("200 connections that send nothing", b"", 200),
        ("half of a preface", http2.PREFACE[:10], 50),
        ("a greeting and nothing more", GREETING, 50),
        ("a head without an end", GREETING + headers(path, flags=0), 50),
        ("a head and no message", GREETING + headers(path), 50),
        (
            "half of a message",
            GREETING + headers(path) + http2.frame(http2.DATA, 0, 1, data[: min(len(data) // 2, 16_000)]),
            50,
        ),
    ):
        yield HostileRequest(
            name,
            SLOW_CLIENTS,
            whole(content, 33.0),
            frozenset({WAITED, CLOSED, FAULT}),
            waits,
            patience_s=PATIENCE_S,
            leaves=True,
            connections=connections,
        )
    yield HostileRequest(
        "500 clients that leave in the middle",
        SLOW_CLIENTS,
        whole(GREETING + headers(path) + http2.frame(http2.DATA, 0, 1, data[:50])),
        frozenset({WAITED, CLOSED}),
        waits,
        patience_s=PATIENCE_S,
        leaves=True,
        connections=500,
    )


def _large() -> Iterator[bytes]:
    yield struct.pack(">BI", 0, 200 * MIB)
    for _ in range(200):
        yield bytes(MIB)
