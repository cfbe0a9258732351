"""HTTP for the REST API: an ASGI application that collects bodies and hands whole requests to worker threads."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from tf_serving.embedded import memory
from tf_serving.embedded.errors import Code, ServingError
from tf_serving.embedded.memory import MAX_BODIES, MAX_BODY, SMALL, Budget
from tf_serving.embedded.rest import Response, RestApi, error_response
from tf_serving.embedded.workers import Workers

_CHUNK = 1024 * 1024  # bytes that are inflated at a time
BODY_SECONDS = 30  # for a body to arrive; without a limit, clients that stall would use up MAX_BODIES

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class _TooLargeError(Exception):
    """A body beyond MAX_BODY."""


class HttpApp:
    """The ASGI application.

    Args:
        api: Answers the requests.
        threads: How many of them are worked on at a time; the others wait.
        budget: The memory for those that are large.

    Attributes:
        closing: Whether each connection is closed with its next answer, as the server is about to stop.
    """

    def __init__(self, api: RestApi, threads: int, budget: Budget) -> None:
        self._api = api
        self._workers = Workers(threads, "rest")
        self._budget = budget
        self.closing = False
        self._held = 0  # bytes received so far, of all bodies

    async def __call__(self, scope: Message, receive: Receive, send: Callable[[Message], Awaitable[None]]) -> None:
        """Answer one request (ASGI 3, type "http")."""
        body, whole = bytearray(), False
        try:
            _check_framing(dict(scope["headers"]))
            async with asyncio.timeout(BODY_SECONDS):
                whole = await self._read(receive, body)
                if not whole:
                    return
            response = await self._answer(scope, body)
        except _TooLargeError:
            response = error_response(413, f"the request body exceeds {MAX_BODY} bytes")
        except ServingError as error:
            response = error_response(error.http_status, error.message)
        except TimeoutError:
            response = error_response(408, f"the request body did not arrive within {BODY_SECONDS} s")
        except asyncio.CancelledError:  # the request was not done when the grace period of a stop ended
            response = error_response(503, "the server is shutting down")
        finally:
            self._held -= len(body)
            del body  # not needed while the answer is sent
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [
                    (b"content-type", response.content_type.encode()),
                    (b"content-length", str(len(response.body)).encode()),
                    # Where the rest of a body is not waited for, or the server is about to stop.
                    *([] if whole and not self.closing else [(b"connection", b"close")]),
                ],
            }
        )
        await send({"type": "http.response.body", "body": response.body})

    async def _read(self, receive: Receive, body: bytearray) -> bool:
        """Fill in the body; False when the client has gone.

        Raises:
            _TooLargeError: At its end, so that a client that sends before it reads gets the answer.
            ServingError: Likewise, when all bodies together are too many bytes.
        """
        failure: Exception | None = None
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return False
            if failure is None:
                chunk = message["body"]
                if len(body) + len(chunk) > MAX_BODY:
                    failure = _TooLargeError()
                elif len(body) + len(chunk) > SMALL and self._held + len(chunk) > MAX_BODIES:
                    failure = ServingError(Code.UNAVAILABLE, "too many large requests at a time: try again later")
                else:
                    self._held += len(chunk)
                    body += chunk
                if failure is not None:
                    self._held -= len(body)
                    body.clear()
            if not message.get("more_body"):
                break
        if failure is not None:
            raise failure
        return True

    async def _answer(self, scope: Message, body: bytearray) -> Response:
        packed = b"gzip" in dict(scope["headers"]).get(b"content-encoding", b"").lower()
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        return await self._workers.run(self._work, scope["method"], path, query, body, packed)

    def _work(self, method: str, path: str, query: str, body: bytes | bytearray, packed: bool) -> Response:
        if not packed:
            with self._budget.hold(len(body) + memory.json_size(body)):
                return self._api.handle(method, path, query, body)
        try:
            # Inflated once to measure it, and again once there is memory for it.
            size = sum(len(chunk) + memory.json_size(chunk) for chunk in _inflate(body))
        except zlib.error:  # not gzip: the real server takes that for an empty document
            return self._api.handle(method, path, query, b"")
        with self._budget.hold(size):
            return self._api.handle(method, path, query, b"".join(_inflate(body)))


def _check_framing(headers: dict[bytes, bytes]) -> None:
    """Refuse at once what cannot be read, or is too long to be read to its end for the sake of a polite refusal.

    Raises:
        ServingError: The body comes in another coding than chunks (RFC 9112, 6.1).
        _TooLargeError: It is declared to be larger than all bodies together may be.
    """
    coding = headers.get(b"transfer-encoding", b"chunked")
    if coding.strip().lower() != b"chunked":
        raise ServingError(Code.UNIMPLEMENTED, f"no transfer coding but chunked is known: {coding.decode('latin-1')}")
    if int(headers.get(b"content-length", b"0")) > MAX_BODIES:
        raise _TooLargeError


def _inflate(body: bytes | bytearray) -> Iterator[bytes]:
    """Yield the content of a gzip body in parts.

    Raises:
        zlib.error: It is not gzip, or not the whole of it.
        _TooLargeError: It is too large.
    """
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    size, rest = 0, bytes(body)
    while not inflater.eof:
        chunk = inflater.decompress(rest, _CHUNK)
        rest = inflater.unconsumed_tail
        if not chunk and not rest and not inflater.eof:
            raise zlib.error("incomplete")
        size += len(chunk)
        if size > MAX_BODY:
            raise _TooLargeError
        yield chunk
