"""Requests that are no HTTP/1.1, or say two things about where they end."""

import random
from collections.abc import Iterator
from dataclasses import replace

from loadtest.resilience.hostile.asked import Asked
from loadtest.resilience.hostile.http_bytes import CRLF, HOST, JSON, LAST, chunk, framed, head, post
from loadtest.resilience.hostile.request import (
    ANSWERED,
    BARE,
    CLOSED,
    EXTRA,
    WAITED,
    HalfClose,
    HostileRequest,
    Part,
    whole,
)

LENGTH, CHUNKS, SYNTAX, PIPELINING = "HTTP: length", "HTTP: chunks", "HTTP: syntax", "HTTP: pipelining"

MIB = 1024 * 1024
CUT = "incomplete (RFC 9112, 8), which granian does not tell: what came is answered where it is a whole body"
LONG = "an extension is to be passed over (RFC 9112, 7.1.1)"

WATCH_S = 0.2
"""Here a part of a request may be taken for another one, whose answer comes later."""

UNREADABLE = frozenset({BARE, CLOSED})
"""What no HTTP parser hands on to an application: it answers by itself, or hangs up."""


def framing_requests(asked: Asked) -> Iterator[HostileRequest]:
    """All of them."""
    for request in (*_lengths(asked), *_chunks(asked)):
        yield replace(request, watches_s=WATCH_S)
    yield from _syntax(asked)
    yield from _pipelining(asked)


def _lengths(asked: Asked) -> Iterator[HostileRequest]:
    path, body = asked.path, asked.body
    invalid = "an unreadable length is an error after which the connection ends (RFC 9112, 6.3, rule 5)"
    for value in ("-1", "+5", "abc", "", "0x10", "5 5", "1e2", "5, 6", "9" * 20, str(2**63), str(2**64 + len(body))):
        shown = value if len(value) < 12 else f"{value[:6]}… ({len(value)} digits)"
        yield HostileRequest(
            f"Content-Length: {shown}",
            LENGTH,
            whole(framed(path, body, JSON, f"Content-Length: {value}")),
            UNREADABLE | {EXTRA},
            f"{invalid}; the body may then be read as a request",
        )
    right = f"Content-Length: {len(body)}"
    yield HostileRequest(
        "Content-Length twice, equal",
        LENGTH,
        whole(framed(path, body, JSON, right, right)),
        UNREADABLE | {ANSWERED},
        "equal lengths may be taken for one (RFC 9110, 8.6)",
    )
    yield HostileRequest(
        "Content-Length twice, different",
        LENGTH,
        whole(framed(path, body, JSON, right, "Content-Length: 5")),
        UNREADABLE | {EXTRA},
        invalid,
    )
    yield HostileRequest(
        "no Content-Length",
        LENGTH,
        whole(framed(path, body, JSON)),
        UNREADABLE,
        answers=2,
        why="it has no body then, and what follows is read as a request (RFC 9112, 6.3, rule 7)",
    )
    yield HostileRequest(
        "Content-Length: 0 and a body",
        LENGTH,
        whole(framed(path, body, JSON, "Content-Length: 0")),
        UNREADABLE,
        answers=2,
        why="what follows is read as a request, which it is not (RFC 9112, 2.2)",
    )
    yield HostileRequest(
        "a Content-Length shorter than the body",
        LENGTH,
        whole(framed(path, body, JSON, "Content-Length: 20")),
        UNREADABLE,
        answers=2,
        why="the rest is read as a request, which it is not (RFC 9112, 2.2)",
    )
    longer = framed(path, body, JSON, f"Content-Length: {len(body) + 100}")
    incomplete = "an incomplete message: the server may close (RFC 9112, 8)"
    yield HostileRequest(
        "a Content-Length longer than the body, then the end",
        LENGTH,
        whole(longer, HalfClose()),
        frozenset({CLOSED}),
        incomplete,
    )
    waits = "the body is not at its end: the server may wait (RFC 9112, 6.3)"
    for name, size in (("100 more than comes", len(body) + 100), ("10 GB", 10**10)):
        content = framed(path, body, JSON, f"Content-Length: {size}")
        yield HostileRequest(
            f"Content-Length: {name}", LENGTH, whole(content), frozenset({WAITED, CLOSED}), waits, leaves=True
        )


def _chunks(asked: Asked) -> Iterator[HostileRequest]:
    path, body, coding = asked.path, asked.body, "Transfer-Encoding: chunked"

    def sent(name: str, content: bytes, accepts: frozenset[str], why: str, *fields: str) -> HostileRequest:
        return HostileRequest(name, CHUNKS, whole(framed(path, content, JSON, *fields)), accepts, why)

    good = chunk(body) + LAST
    both = "the chunks count, and the connection ends, or the request is an error (RFC 9112, 6.3, rule 3)"
    yield sent("chunks and a Content-Length", good, UNREADABLE | {ANSWERED}, both, coding, "Content-Length: 5")
    yield sent(
        "a Content-Length and chunks", good, UNREADABLE | {ANSWERED}, both, f"Content-Length: {len(good)}", coding
    )
    inner = head("GET /smuggled HTTP/1.1", HOST)
    yield sent(
        "a request hidden behind chunks", LAST + inner, UNREADABLE, both, coding, f"Content-Length: {len(LAST + inner)}"
    )
    unknown = "a coding that is not known is 501, one that does not end in chunks 400 (RFC 9112, 6.1 and 6.3, rule 4)"
    for value in ("chunked, chunked", "identity", "gzip, chunked", "xchunked", "chunked, identity", "", "\x0bchunked"):
        yield sent(f"Transfer-Encoding: {value!r}", good, UNREADABLE | {EXTRA}, unknown, f"Transfer-Encoding: {value}")
    yield HostileRequest(
        "chunks in HTTP/1.0",
        CHUNKS,
        whole(head(f"POST {path} HTTP/1.0", HOST, JSON, coding) + good),
        UNREADABLE | {ANSWERED},
        "its framing is to be taken for faulty (RFC 9112, 6.1)",
    )
    faulty = "no chunk: the message is faulty (RFC 9112, 7.1)"
    unseen = UNREADABLE | {ANSWERED}
    for name, content in (
        ("a size that is no number", b"zz\r\n" + body + CRLF + LAST),
        ("a negative size", b"-1\r\n" + body + CRLF + LAST),
        ("a size with 0x", b"0x10\r\n" + body + CRLF + LAST),
        ("a size beyond 64 bits", b"f" * 17 + CRLF + body + CRLF + LAST),
        ("a size of a thousand digits", b"1" * 1000 + CRLF + body + CRLF + LAST),
        ("a size smaller than its chunk", b"1\r\n" + body + CRLF + LAST),
    ):
        yield sent(f"chunks: {name}", content, UNREADABLE, faulty, coding)
    yield sent(
        "chunks: an extension of 1 MB", b"%x;%b\r\n%b\r\n" % (len(body), b"a" * MIB, body) + LAST, unseen, LONG, coding
    )
    yield sent("chunks: no line break after one", b"%x\r\n%b" % (len(body), body) + LAST, unseen, CUT, coding)
    for name, content in (
        ("cut short", b"ffff\r\n" + body),
        ("of 2**63 bytes", b"7fffffffffffffff\r\n" + body),
        ("without the last one", chunk(body)),
    ):
        yield HostileRequest(
            f"chunks: {name}, then the end",
            CHUNKS,
            whole(framed(path, content, JSON, coding), HalfClose()),
            UNREADABLE | {ANSWERED},
            CUT,
        )
    tiny = b"".join(chunk(body[at : at + 1]) for at in range(len(body)))
    yield sent("chunks of one byte each", tiny + LAST, frozenset({ANSWERED}), "well-formed (RFC 9112, 7.1)", coding)
    trailers = chunk(body) + b"0\r\n" + b"".join(b"X-%d: 1\r\n" % at for at in range(20_000)) + CRLF
    yield sent(
        "20,000 trailer fields", trailers, UNREADABLE | {ANSWERED}, "they may be dropped (RFC 9110, 6.5.1)", coding
    )


def _syntax(asked: Asked) -> Iterator[HostileRequest]:
    path, body, length = asked.path, asked.body, f"Content-Length: {len(asked.body)}"

    def sent(name: str, content: bytes, why: str, *more: str) -> HostileRequest:
        # After an unreadable line, what follows it may be read as further requests.
        return HostileRequest(name, SYNTAX, whole(content), UNREADABLE | {*more}, why)

    line = "an invalid request line SHOULD be a 400 (RFC 9112, 3)"
    for name, first in (
        ("no version", f"POST {path}"),
        ("HTTP/3.0", f"POST {path} HTTP/3.0"),
        ("HTTP/1.1.1", f"POST {path} HTTP/1.1.1"),
        ("http/1.1", f"POST {path} http/1.1"),
        ("two spaces", f"POST  {path}  HTTP/1.1"),
        ("a space in the target", f"POST {path} x HTTP/1.1"),
        ("no target", "POST HTTP/1.1"),
    ):
        yield sent(f"request line: {name}", head(first, HOST, JSON, length) + body, line, ANSWERED)
    field = "an invalid field is a 400 (RFC 9112, 5.1; RFC 9110, 5.5)"
    for name, text in (
        ("without a colon", "No colon here"),
        ("a space before the colon", "X-Space : 1"),
        ("no name", ": value"),
        ("a NUL byte", "X-Nul: a\0b"),
        ("a bare carriage return", "X-Cr: a\rb"),
        ("folded over two lines", "X-Fold: a\r\n b"),
        ("letters beyond ASCII in the name", "X-\xe9: 1"),
        ("control characters", "X-Control: \x01\x02\x7f"),
    ):
        yield sent(f"field: {name}", framed(path, body, JSON, text, length), field, ANSWERED)
    host = "a request without exactly one valid Host is a 400 (RFC 9112, 3.2)"
    yield sent("no Host", head(f"POST {path} HTTP/1.1", JSON, length) + body, host, ANSWERED)
    yield sent("two Hosts", framed(path, body, "Host: other", JSON, length), host, ANSWERED)
    yield sent(
        "a Host of nonsense", head(f"POST {path} HTTP/1.1", "Host: a b/c@d", JSON, length) + body, host, ANSWERED
    )
    nothing = "no HTTP/1.1 at all"
    yield HostileRequest(
        "HTTP/0.9",
        SYNTAX,
        whole(b"GET /\r\n"),
        UNREADABLE | {ANSWERED, WAITED},
        "it may be the beginning of a request",
        leaves=True,
        watches_s=1.0,
    )
    yield sent("random bytes", random.Random(2).randbytes(4096) + b"\r\n\r\n", nothing)
    yield sent("a TLS greeting", bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 194 + b"\r\n\r\n", nothing)
    yield sent("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), nothing)
    yield sent("an SSH greeting", b"SSH-2.0-OpenSSH_9.9\r\n\r\n", nothing)
    yield sent("1 MB of empty lines", CRLF * 500_000 + b"x\r\n\r\n", "one empty line may be skipped (RFC 9112, 2.2)")
    yield sent(
        "lines that end in LF alone",
        post(path, body).replace(CRLF, b"\n"),
        "allowed to be read (RFC 9112, 2.2)",
        ANSWERED,
    )
    yield HostileRequest(
        "Expect: what nobody can keep",
        SYNTAX,
        whole(post(path, body, "Expect: 1000-miracles")),
        frozenset({ANSWERED}) | UNREADABLE,
        "a 417, or passed over (RFC 9110, 10.1.1)",
    )
    yield HostileRequest(
        "Upgrade to HTTP/2",
        SYNTAX,
        whole(post(path, body, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")),
        frozenset({ANSWERED}),
        "an Upgrade may be ignored (RFC 9110, 7.8)",
    )
    yield HostileRequest(
        "Upgrade to WebSocket",
        SYNTAX,
        whole(
            post(path, body, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
        ),
        frozenset({ANSWERED}),
        "an Upgrade may be ignored (RFC 9110, 7.8)",
    )


def most_at_once(request: bytes) -> int:
    """How many requests are sent in one go at most: those of a large model are fewer."""
    return max(2, 20 * MIB // len(request))


def _pipelining(asked: Asked) -> Iterator[HostileRequest]:
    path, body = asked.path, asked.body
    good = post(path, body)
    legal = "pipelining is allowed (RFC 9112, 9.3.2)"
    for count in sorted({min(wanted, most_at_once(good)) for wanted in (2, 50, 500)}):
        yield HostileRequest(
            f"{count} requests at once",
            PIPELINING,
            whole(good * count),
            frozenset({ANSWERED}),
            legal,
            answers=count,
            patience_s=30,
        )
    yield HostileRequest(
        "a good request, then nonsense",
        PIPELINING,
        whole(good + b"\x01\x02\x03\r\n\r\n"),
        UNREADABLE | {ANSWERED},
        legal,
        answers=2,
    )
    yield HostileRequest(
        "a bad body, then a good request",
        PIPELINING,
        whole(post(path, b"{") + good),
        answers=2,
        why="the bad one is told of: the worse of two answers counts",
    )

    def dribble() -> list[Part]:
        step = len(good) // 25
        return [part for at in range(0, len(good), step) for part in (good[at : at + step], 0.01)]

    yield HostileRequest(
        "in 25 pieces",
        PIPELINING,
        dribble,
        frozenset({ANSWERED}),
        "a request may come in any pieces",
        patience_s=30,
    )
