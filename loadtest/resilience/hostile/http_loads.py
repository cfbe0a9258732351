"""Requests that are too large, and clients that are too slow."""

import gzip
from collections.abc import Callable, Iterator

from loadtest.resilience.hostile.asked import Asked
from loadtest.resilience.hostile.bombs import MIB, gzip_bomb
from loadtest.resilience.hostile.http_bytes import HOST, JSON, LAST, chunk, framed, head, post
from loadtest.resilience.hostile.http_framing import UNREADABLE, most_at_once
from loadtest.resilience.hostile.request import ANSWERED, CLOSED, SLOW, WAITED, HostileRequest, Part, whole

LARGE, SLOW_CLIENTS = "HTTP: large", f"HTTP: {SLOW}"
MANY = 200 * MIB
PATIENCE_S = 40.0
"""Longer than the 30 s that the servers of this project wait for a body."""


def large_requests(asked: Asked) -> Iterator[HostileRequest]:
    """Hundreds of megabytes, or bytes that become so many."""
    path, body = asked.path, asked.body
    reads = "longer than the server reads: 431 or 414, or the connection ends (RFC 6585, 5; RFC 9110, 15.5.15)"
    gone = "the server may stop to read what it refuses (RFC 9112, 9.6)"

    def declared(fill: bytes) -> Callable[[], Iterator[Part]]:
        return lambda: _repeated(framed(path, b"", JSON, f"Content-Length: {MANY}"), fill * MIB, MANY // MIB)

    yield HostileRequest("200 MB of white space", LARGE, declared(b" "), frozenset({CLOSED}), gone, patience_s=60)
    yield HostileRequest("200 MB of opening brackets", LARGE, declared(b"["), frozenset({CLOSED}), gone, patience_s=60)
    yield HostileRequest(
        "200 MB in chunks",
        LARGE,
        lambda: _repeated(framed(path, b"", JSON, "Transfer-Encoding: chunked"), chunk(b" " * MIB), MANY // MIB, LAST),
        frozenset({CLOSED}),
        gone,
        patience_s=60,
    )
    yield HostileRequest(
        "200 MB at no such address",
        LARGE,
        lambda: _repeated(framed("/nowhere", b"", JSON, f"Content-Length: {MANY}"), b" " * MIB, MANY // MIB),
        frozenset({CLOSED}),
        gone,
        patience_s=60,
    )
    yield HostileRequest(
        "1 GB of white space as 1 MB of gzip",
        LARGE,
        lambda: [post(path, gzip_bomb(b" "), "Content-Encoding: gzip")],
        patience_s=60,
    )
    yield HostileRequest(
        "1 GB of brackets as 1 MB of gzip, in chunks",
        LARGE,
        lambda: [
            framed(path, chunk(gzip_bomb(b"[")) + LAST, JSON, "Content-Encoding: gzip", "Transfer-Encoding: chunked")
        ],
        patience_s=60,
    )
    yield HostileRequest(
        "gzip in gzip of 1 GB",
        LARGE,
        lambda: [post(path, gzip.compress(gzip_bomb(b" ")), "Content-Encoding: gzip, gzip")],
        patience_s=60,
    )
    yield HostileRequest(
        "8 large bodies at a time",
        LARGE,
        lambda: [post(path, b'{"instances":[' + b"[]," * 1_000_000 + b"[]]}")],
        connections=8,
        patience_s=120,
    )
    for name, fields in (
        ("10,000 header fields", [f"X-{at}: 1" for at in range(10_000)]),
        ("100,000 header fields of one name", ["X: 1"] * 100_000),
        ("a header field of 1 MB", ["X: " + "a" * 1_000_000]),
        ("a header name of 1 MB", ["a" * 1_000_000 + ": 1"]),
        ("10,000 cookies", [f"Cookie: c{at}={at}" for at in range(10_000)]),
        ("a token of 100 KB", ["Authorization: Bearer " + "a" * 100_000]),
    ):
        yield HostileRequest(name, LARGE, whole(post(path, body, *fields)), UNREADABLE | {ANSWERED}, reads)
    yield HostileRequest("a path of 1 MB", LARGE, whole(post("/" + "a" * 1_000_000, body)), UNREADABLE, reads)
    yield HostileRequest(
        "header fields without an end",
        LARGE,
        lambda: _repeated(head(f"GET {path} HTTP/1.1", HOST)[:-2], b"X: 1\r\n" * 10_000, 200),
        UNREADABLE,
        reads,
        patience_s=20,
    )


def slow_requests(asked: Asked) -> Iterator[HostileRequest]:
    """Clients that send little, or nothing, or never read."""
    path, body = asked.path, asked.body
    good = post(path, body)
    at_once = min(2000, most_at_once(good))
    begun = framed(path, b"", JSON, f"Content-Length: {len(body)}")
    silent = frozenset({CLOSED, WAITED})
    waits = "no time is set for a client to send (RFC 9112, 9.5): it must cost others nothing"

    def slow(name: str, parts: Callable[[], list[Part]], connections: int = 1, **more: bool) -> HostileRequest:
        return HostileRequest(
            name,
            SLOW_CLIENTS,
            parts,
            silent | UNREADABLE,
            waits,
            patience_s=PATIENCE_S,
            leaves=True,
            connections=connections,
            **more,
        )

    yield slow("200 connections that send nothing", lambda: [33.0], 200)
    yield slow("half of a request line", lambda: [good[:10], 33.0], 50)
    yield slow("a head without an end", lambda: [head(f"POST {path} HTTP/1.1", HOST)[:-2], 33.0], 50)
    yield slow("a head, a byte every second", lambda: _dribble(begun, b"X-More: 1\r\n" * 10), 20)
    yield slow("a head and no body", lambda: [begun, 33.0], 50)
    yield slow("half of a body", lambda: [begun + body[: len(body) // 2], 33.0], 50)
    yield slow("a body, a byte every second", lambda: [begun, *_dribble(b"", body)], 20)
    yield slow("half of a chunk", lambda: [framed(path, b"ff\r\n{", JSON, "Transfer-Encoding: chunked"), 33.0], 50)
    yield slow("half of a large body", lambda: [framed(path, b"[" * MIB, JSON, f"Content-Length: {2 * MIB}"), 33.0], 4)
    yield HostileRequest(
        "many requests, and not one answer read",
        SLOW_CLIENTS,
        lambda: [good * at_once, 10.0],
        frozenset({ANSWERED, CLOSED, WAITED}),
        "an answer that nobody reads may be kept back (RFC 9112, 9.3.2)",
        patience_s=PATIENCE_S,
        answers=at_once,
        deaf=True,
        leaves=True,
    )
    yield HostileRequest(
        "500 clients that leave at once",
        SLOW_CLIENTS,
        lambda: [good[:-5]],
        silent,
        "an incomplete message (RFC 9112, 8)",
        patience_s=PATIENCE_S,
        leaves=True,
        connections=500,
    )


def _repeated(start: bytes, part: bytes, times: int, end: bytes = b"") -> Iterator[Part]:
    yield start
    for _ in range(times):
        yield part
    yield end


def _dribble(start: bytes, rest: bytes) -> list[Part]:
    return [start, *(part for at in range(33) for part in (rest[at : at + 1], 1.0))]
