"""HTTP/1.1 keep-alive transport: requests encoded once, answers checked one by one.

The fast path: an answer whose bytes equal those of an answer to the same payload that was parsed and found correct
needs no second parsing. Any other bytes go through httptools and the expectation. The HTTP semantics used are those
of RFC 9112 (message framing, section 6; persistence, section 9.3).
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic_ns

import httptools

from loadtest.errors import UsageError
from loadtest.load.engine import MISMATCHED
from loadtest.servers.expectation import Expectation
from loadtest.wire.address import Address
from loadtest.wire.kept_connection import MAX_BODY, ConnectionPool, KeptConnection


@dataclass(frozen=True)
class HttpTarget:
    """An HTTP endpoint and the requests for it.

    Attributes:
        host: Name or address to connect to.
        port: TCP port.
        tls: Whether to speak TLS.
        requests: The encoded requests, head and body; request ``n`` uses number ``n mod len``.
        expectation: What a correct answer to each of them is.
        address: Resolved address; the host is looked up for each connection where it is empty.
        remembers: Whether an answer that was found correct is known again by its bytes; where not, the expectation sees
            every single one.
    """

    host: str
    port: int
    tls: bool
    requests: Sequence[bytes]
    expectation: Expectation
    address: str = ""
    remembers: bool = True

    @classmethod
    def build(
        cls,
        url: str,
        bodies: Sequence[bytes],
        expectation: Expectation,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        each: Sequence[Mapping[str, str]] = (),
    ) -> "HttpTarget":
        """Encode one request per body.

        Args:
            url: ``http://`` or ``https://`` address; see `loadtest.wire.address` for one with credentials.
            bodies: Request bodies; an empty one is sent without a Content-Type.
            expectation: The check of the answers.
            method: HTTP method.
            headers: Header fields that are added, or replace the default ones.
            each: Further ones of each request, names in lower case; nothing where no request has any of its own.

        Raises:
            UsageError: If the address, the method or a header cannot be used.
        """
        at = Address.parse(url, ("http", "https"), "an http:// or https:// address")
        path = (at.path or "/") + (f"?{at.query}" if at.query else "")
        extra = {name.lower(): value for name, value in (headers or {}).items()}
        fields = [{**at.fields, **own, **extra} for own in each or [{}] * len(bodies)]
        requests = [_encode(method, path, at.authority, body, own) for body, own in zip(bodies, fields, strict=True)]
        return cls(at.host, at.port, at.tls, requests, expectation)

    @property
    def payloads(self) -> int:
        """Number of different requests."""
        return len(self.requests)

    def pool(self, connections: int, loop: asyncio.AbstractEventLoop) -> "HttpPool":
        """Return unopened connections to the target."""
        return HttpPool(self, connections, loop)


def _encode(method: str, path: str, host: str, body: bytes, extra: Mapping[str, str]) -> bytes:
    fields = {"host": host, "accept": "application/json"}
    if body:
        fields["content-type"] = "application/json"
    if body or method != "GET":
        fields["content-length"] = str(len(body))
    fields |= extra
    try:
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        encoded = head.encode("latin-1")
    except UnicodeEncodeError as error:
        raise UsageError(f"the request line and the headers must be Latin-1: {error}") from error
    words = [method, path, *fields, *fields.values()]
    if method == "HEAD":
        raise UsageError("HEAD answers carry no prediction to check; use GET or POST")
    if not method.isalpha() or any(c in word for word in words for c in "\r\n") or " " in path:
        raise UsageError("the method must be one word, and no line break or blank may stand in an address or a header")
    return encoded + b"\r\n" + body


class HttpConnection(KeptConnection):
    """One keep-alive connection."""

    def __init__(self, pool: "HttpPool") -> None:
        super().__init__(pool)
        self._requests = pool.target.requests
        self._known = pool.known_answers
        self._expectation = pool.target.expectation
        self._remembers = pool.target.remembers
        self._expected: bytes | None = None
        self._reset()

    def send(self, payload: int) -> None:
        """Write the request, or open the connection first."""
        self._payload = payload
        if self._write is not None:
            self._expected = self._known[payload]
            self._write(self._requests[payload])
        else:
            self._expected = None
            self._open_first()

    def _begin(self) -> None:
        self._write(self._requests[self._payload])

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a request in flight as failed; an idle connection reopens with its next request."""
        self.readable = self.arrived = monotonic_ns()
        opened = self._write is not None
        kind = self._lost(exc, received=self._received > 0)
        if not (opened and self.busy):
            return
        if self._ends_with_connection and not exc:
            self._answered()
        else:
            self._fail(kind)

    # -- answers

    def data_received(self, data: bytes) -> None:
        """Take the fast path for known bytes, the parser for all others; the clock is read before either."""
        self.arrived = now = monotonic_ns()
        turn = self._turn
        if turn.over:
            turn.begin(now)
        self.readable = turn.readable
        if data == self._expected and self.busy:
            self._pool.owner.completed(self)
        else:
            self._parse(data)

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._body: list[bytes] = []
        self._raw: bytes | None = b""
        self._status = 0
        self._complete = self._keep = False
        self._framed = False
        self._ends_with_connection = False

    def _parse(self, data: bytes) -> None:
        if not self.busy:
            self._drop()  # an answer nobody asked for, such as a 408 before the server closes an idle connection
            return
        if self._opening is not None and not self._opening.done():
            self.abort("unsolicited_response")  # it came before the request was written
            return
        self._expected = None
        self._raw = data if not self._received else None
        self._received += len(data)
        if self._received > MAX_BODY:
            self.abort("body_too_large")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            fault = "unexpected_upgrade"
        except httptools.HttpParserError:
            fault = "malformed_response"
        else:
            fault = ""
        if self._complete:
            self._answered()
        elif fault:
            self.abort(fault)

    def on_message_begin(self) -> None:
        """Keep no connection with bytes beyond one answer: nothing tells whose the next ones are."""
        self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note whether the body has a length of its own."""
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        """Without a length the body ends with the connection (RFC 9112, 6.3); 1xx, 204 and 304 have none."""
        if not self._complete:
            status = self._parser.get_status_code()
            self._ends_with_connection = not self._framed and status >= 200 and status not in (204, 304)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        if not self._complete:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Note the end of a final answer; an interim one (1xx) is passed over."""
        if not self._complete and self._parser.get_status_code() >= 200:
            self._status = self._parser.get_status_code()
            self._keep = self._parser.should_keep_alive()
            self._complete = True

    def _answered(self) -> None:
        status = self._status or self._parser.get_status_code()
        body = b"".join(self._body)
        raw = self._raw
        keep = self._keep
        payload = self._payload
        self._reset()
        if not keep:
            self._drop()
        if not 200 <= status < 300:
            self._fail(f"http_{status}")
        elif self._expectation.matches(payload, body):
            if keep and raw and self._remembers:
                self._known[payload] = raw
            self._pool.owner.completed(self)
        else:
            self._fail(MISMATCHED)


class HttpPool(ConnectionPool):
    """The connections of one process to one target.

    Args:
        target: Where to, and what.
        connections: How many connections are kept.
        loop: The running event loop.
    """

    def __init__(self, target: HttpTarget, connections: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(target, loop, ssl.create_default_context() if target.tls else None)
        self.target: HttpTarget = target
        self.known_answers: list[bytes | None] = [None] * len(target.requests)
        self.slots = [HttpConnection(self) for _ in range(connections)]
