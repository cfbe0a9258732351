"""HTTP for the REST API: an ASGI application that collects bodies and hands whole requests to worker threads."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tf_serving.embedded.rest import Response, RestApi, error_response
from tf_serving.embedded.workers import Workers

# The real server inflates no more than this either; a plain body it takes at any size.
MAX_BODY = 100 * 1024 * 1024

_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]

Message = MutableMapping[str, Any]


class _TooLargeError(Exception):
    """A body beyond MAX_BODY."""


class HttpApp:
    """The ASGI application.

    Args:
        api: answers the requests.
        threads: how many of them are worked on at a time; the others wait.
        cors: whether browsers of any origin may call.
    """

    def __init__(self, api: RestApi, threads: int, cors: bool) -> None:
        self._api = api
        self._workers = Workers(threads, "rest")
        self._headers = _CORS if cors else []

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answers one request (ASGI 3, type "http")."""
        headers = dict(scope["headers"])
        try:
            body = await _read(receive)
            if body is None:
                return
            response = await self._answer(scope, headers, body)
        except _TooLargeError:
            response = error_response(413, f"the request body exceeds {MAX_BODY} bytes")
        except asyncio.CancelledError:  # only happens to a request that outlasts the grace period of a stop
            response = error_response(503, "the server is shutting down")
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [
                    (b"content-type", response.content_type.encode()),
                    (b"content-length", str(len(response.body)).encode()),
                    *self._headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": response.body})

    async def _answer(self, scope: Message, headers: dict[bytes, bytes], body: bytes) -> Response:
        path = scope["raw_path"].decode("latin-1")
        if scope["method"] == "OPTIONS" and path.lower().startswith("/v1/"):
            origin = headers.get(b"origin", b"").lower()
            if origin.startswith((b"http://", b"https://")):
                return Response(200, b"", "text/plain")
            return error_response(400, "Origin header is missing in CORS preflight")
        packed = b"gzip" in headers.get(b"content-encoding", b"").lower()
        query = scope["query_string"].decode("latin-1")
        return await self._workers.run(self._work, scope["method"], path, query, body, packed)

    def _work(self, method: str, path: str, query: str, body: bytes, packed: bool) -> Response:
        if packed:
            body = _inflate(body)
        return self._api.handle(method, path, query, body)


async def _read(receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    """The whole body, or None when the client has gone.

    Raises:
        _TooLargeError: at its end, so that a client that sends before it reads gets the answer.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message["body"]  # nearly always the whole of it
        if len(body) > MAX_BODY:
            raise _TooLargeError
        return body
    parts, size = [], 0
    while True:
        if message["type"] != "http.request":
            return None
        size += len(message["body"])
        if size <= MAX_BODY:
            parts.append(message["body"])
        else:
            parts.clear()
        if not message.get("more_body"):
            break
        message = await receive()
    if size > MAX_BODY:
        raise _TooLargeError
    return b"".join(parts)


def _inflate(body: bytes) -> bytes:
    """A gzip body's content; empty if it is not gzip, which the API then calls an empty document."""
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = inflater.decompress(body, MAX_BODY + 1)
    except zlib.error:
        return b""
    if len(content) > MAX_BODY:
        raise _TooLargeError
    return content if inflater.eof else b""
