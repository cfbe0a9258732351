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

_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]

_CHUNK = 1024 * 1024  # of what is inflated at a time
BODY_SECONDS = 30  # until a body has to be there, or clients that stall would fill the memory for bodies

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class _TooLargeError(Exception):
    """A body beyond MAX_BODY."""


class HttpApp:
    """The ASGI application.

    Args:
        api: answers the requests.
        threads: how many of them are worked on at a time; the others wait.
        budget: the memory for those that are large.
        cors: whether browsers of any origin may call.
    """

    def __init__(self, api: RestApi, threads: int, budget: Budget, cors: bool) -> None:
        self._api = api
        self._workers = Workers(threads, "rest")
        self._budget = budget
        self._held = 0  # bytes of all bodies that are here, whole or in part
        self._cors = cors

    async def __call__(self, scope: Message, receive: Receive, send: Callable[[Message], Awaitable[None]]) -> None:
        """Answers one request (ASGI 3, type "http")."""
        headers = dict(scope["headers"])
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                if not await self._read(receive, body):
                    return
            response = await self._answer(scope, headers, body)
        except _TooLargeError:
            response = error_response(413, f"the request body exceeds {MAX_BODY} bytes")
        except ServingError as error:
            response = error_response(error.http_status, error.message)
        except TimeoutError:
            response = error_response(408, f"the request body did not arrive within {BODY_SECONDS} s")
        except asyncio.CancelledError:  # only happens to a request that outlasts the grace period of a stop
            response = error_response(503, "the server is shutting down")
        finally:
            self._held -= len(body)
            del body  # a client may take its time over the answer
        cors = self._cors and _is_api(scope["raw_path"])
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [
                    (b"content-type", response.content_type.encode()),
                    (b"content-length", str(len(response.body)).encode()),
                    *(_CORS if cors else ()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": response.body})

    async def _read(self, receive: Receive, body: bytearray) -> bool:
        """Fills in the body; False when the client has gone.

        Raises:
            _TooLargeError: at its end, so that a client that sends before it reads gets the answer.
            ServingError: likewise, when all bodies together are too many bytes.
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

    async def _answer(self, scope: Message, headers: dict[bytes, bytes], body: bytearray) -> Response:
        if scope["method"] == "OPTIONS" and _is_api(scope["raw_path"]):
            origin = headers.get(b"origin", b"")
            return Response(200 if b"http://" in origin or b"https://" in origin else 400, b"", "text/plain")
        path = scope["raw_path"].decode("latin-1")
        packed = b"gzip" in headers.get(b"content-encoding", b"").lower()
        query = scope["query_string"].decode("latin-1")
        return await self._workers.run(self._work, scope["method"], path, query, body, packed)

    def _work(self, method: str, path: str, query: str, body: bytes | bytearray, packed: bool) -> Response:
        if not packed:
            with self._budget.hold(len(body) + memory.json_size(body)):
                return self._api.handle(method, path, query, body)
        try:
            # Looked through first and kept afterwards: what is inflated counts too.
            size = sum(len(chunk) + memory.json_size(chunk) for chunk in _inflate(body))
        except zlib.error:  # not gzip: the real server's API is then given an empty document
            return self._api.handle(method, path, query, b"")
        with self._budget.hold(size):
            return self._api.handle(method, path, query, b"".join(_inflate(body)))


def _is_api(path: bytes) -> bool:
    return path[:4].lower() == b"/v1/"


def _inflate(body: bytes | bytearray) -> Iterator[bytes]:
    """A gzip body's content, in parts.

    Raises:
        zlib.error: it is not gzip, or not the whole of it.
        _TooLargeError: it is too much.
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
