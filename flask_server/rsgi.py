"""The service as granian runs it: a request is answered only when its body has come in.

Granian's WSGI interface starts a thread as soon as it has read the headers, and a client that sends half of a body
keeps that thread for as long as it likes. On its asynchronous interface, RSGI, waiting costs no thread. And a small
request needs none at all: handing it over to a thread, and its answer back, takes a third as long as answering it.

RSGI: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md; WSGI: PEP 3333.
"""

import asyncio
import io
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask
from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined]  # granian.rsgi re-exports two of them
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
)
from werkzeug.exceptions import NotImplemented as UnknownCoding

from flask_server.app import DRAIN_LIMIT, create_app, error_body
from flask_server.bearer_token import BearerToken
from flask_server.graceful_stop import GracefulStop
from flask_server.metrics import GONE, OVERLOAD, Metrics
from flask_server.served_model import ServedModel
from flask_server.turns import QueueFullError, Turns

SMALL = 64 * 1024
"""A body declared to be no larger than this, in bytes, always has room, since granian bounds how many requests there
are. It is answered on the event loop. A larger one takes a thread: it takes long enough to keep others waiting."""

WITH_HEAD = 4 * 1024
"""A body declared to be no larger than this, in bytes, comes with its head as a rule. If its request is refused, the
HTTP server drops it and the connection stays open. The client of a larger one would be cut off while it still sends."""

LARGE_BODIES = 8
"""How many bodies of the largest size have room at once, until they are answered. Beyond that a request gets a 503."""

MOST_ROOM = 256 * 1024 * 1024
"""Bytes that they may have together, where one of them has not more."""


class Service:
    """A Flask application behind granian's RSGI interface.

    Args:
        app: Its settings MAX_CONTENT_LENGTH, BODY_TIMEOUT, THREADS and QUEUE apply.

    Attributes:
        metrics: Where requests are counted.
        turns: Of small predictions, on the event loop.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._model: ServedModel = app.extensions["model"]
        self._token: BearerToken = app.extensions["bearer_token"]
        self.metrics: Metrics = app.extensions["metrics"]
        self._largest: int = app.config["MAX_CONTENT_LENGTH"]
        self._timeout: float = app.config["BODY_TIMEOUT"]
        self._threads = ThreadPoolExecutor(app.config["THREADS"], "request")
        # Used on the event loop only.
        self._room = min(LARGE_BODIES * self._largest, max(MOST_ROOM, self._largest))
        self.turns = Turns(1, app.config["QUEUE"])
        self._stop = GracefulStop()
        self._thread_turns = Turns(app.config["THREADS"], app.config["QUEUE"])

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the newest version of the model at SIGHUP, and stop at SIGTERM."""
        loop.add_signal_handler(signal.SIGHUP, self._model.replace)
        self._stop.install(loop)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer one request."""
        # Before the body is read, which costs half as much as the refusal.
        if self.turns.full and not self._stop.stopping and _comes_whole(scope):
            self.metrics.end(self.metrics.begin(), scope.path, OVERLOADED[0], OVERLOAD)
            protocol.response_bytes(*OVERLOADED)
            return
        large: list[bytes] = []
        began, status, reason = self.metrics.begin(), GONE, ""
        try:
            body = await self._collect(scope, protocol, large)
            environ = environ_of(scope, body)
            if scope.method == "GET" and self._model.settled():
                answer = self._work(began, environ)  # whoever looks after the service gets to see it under overload too
            elif len(body) <= SMALL and self._model.settled():
                async with self.turns:
                    answer = self._work(began, environ)
            else:
                left = asyncio.ensure_future(protocol.client_disconnect())
                try:
                    async with self._thread_turns:
                        if left.done():
                            return  # nobody wants the answer any more
                        loop = asyncio.get_running_loop()
                        answer = await loop.run_in_executor(self._threads, self._work, began, environ)
                finally:
                    left.cancel()
            status = answer[0]
        except QueueFullError:
            answer = OVERLOADED
            status, reason = answer[0], OVERLOAD
        except HTTPException as refusal:
            answer = refuse(refusal)
            status, reason = answer[0], OVERLOAD if isinstance(refusal, ServiceUnavailable) else ""
        finally:
            self._release(large)
            self.metrics.end(began, scope.path, status, reason)
        status, headers, content = answer
        if self._stop.stopping:
            headers = [*headers, ("Connection", "close")]
        protocol.response_bytes(status, headers, content)

    def _work(self, began: float, environ: dict[str, Any]) -> "Answer":
        """Answer a request that has come in; `began` is when its headers had."""
        self.metrics.waited(began, environ["PATH_INFO"])
        return call_wsgi(self._app, environ)

    async def _collect(self, scope: Scope, protocol: HTTPProtocol, large: list[bytes]) -> bytes:
        """Return the whole body.

        The parts of a large one are put into `large` as they come in, and count against the room.

        Raises:
            HTTPException: It is too large, too slow or cut short, or there is no room for it.
        """
        declared, coding = scope.headers.get("content-length"), scope.headers.get("transfer-encoding")
        # Whoever lacks the token takes neither a turn nor the room for a large body from others.
        refusal = self._token.refusal(scope.path, scope.headers.get("authorization"))
        if coding is not None:
            declared = None  # where both are sent, the length means nothing (RFC 9112, section 6.3)
            if coding.strip().lower() != "chunked":
                raise UnknownCoding(f"no transfer coding but chunked is known, not {coding!r}")
        elif declared is None:
            return _unless(refusal, b"")
        elif int(declared) > DRAIN_LIMIT:
            raise RequestEntityTooLarge(f"a body may have {self._largest} bytes")  # the rest is not read to its end
        late = f"the body did not arrive within {self._timeout:g} s"
        # What asyncio.timeout() does, at a tenth of its price: it would cost as much as reading the JSON.
        task = asyncio.current_task()
        assert task is not None  # granian runs each request as one
        timeout = asyncio.get_running_loop().call_later(self._timeout, task.cancel, late)
        try:
            if declared is not None and int(declared) <= SMALL:
                return _unless(refusal, await protocol())
            await self._collect_large(protocol, large, refusal)
        except asyncio.CancelledError as cancelled:
            if cancelled.args != (late,):
                raise
            task.uncancel()
            raise RequestTimeout(late) from None
        except ProtocolClosed:
            raise BadRequest("the body was cut short") from None
        finally:
            timeout.cancel()
        if declared is not None and int(declared) != sum(map(len, large)):
            raise BadRequest("the body was cut short")
        large[:] = [b"".join(large)]
        return large[0]

    async def _collect_large(self, protocol: HTTPProtocol, large: list[bytes], refusal: HTTPException | None) -> None:
        size = 0
        async for part in protocol:
            size += len(part)
            if refusal is None and size > self._largest:
                refusal = RequestEntityTooLarge(f"a body may have {self._largest} bytes")
            elif refusal is None and len(part) > self._room:
                refusal = ServiceUnavailable("too many large bodies at once: try again", retry_after=1)
            if refusal is None:
                self._room -= len(part)
                large.append(part)
                continue
            self._release(large)
            if size > DRAIN_LIMIT:
                break  # up to that limit the rest is read and dropped, so that the client sees the answer
        if refusal is not None:
            raise refusal

    def _release(self, large: list[bytes]) -> None:
        """Give back the room of these parts, and the parts."""
        self._room += sum(map(len, large))
        large.clear()


def _comes_whole(scope: Scope) -> bool:
    """Whether a request has a body that came with its head, as far as the length tells."""
    declared = scope.headers.get("content-length")
    return declared is not None and int(declared) <= WITH_HEAD


def _unless(refusal: HTTPException | None, body: bytes) -> bytes:
    if refusal is not None:
        raise refusal
    return body


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the WSGI environment of a request whose body is `body`."""
    environ: dict[str, Any] = {}
    for name, value in scope.headers.items():
        key = f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # `body` is whole
    environ.pop("HTTP_CONTENT_LENGTH", None)
    server, _, port = scope.server.rpartition(":")
    return environ | {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "CONTENT_TYPE": environ.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers and body, as granian takes them."""


def call_wsgi(app: Callable[..., Any], environ: dict[str, Any]) -> Answer:
    """Run a WSGI application to the end of its answer."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        started[:] = [int(status[:3]), headers]

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    status, headers = started
    return status, headers, body


def refuse(refusal: HTTPException) -> Answer:
    """Return the answer to a request that does not reach the application; the rest of it, if any, is not waited for."""
    headers = [(name, value) for name, value in refusal.get_headers() if name != "Content-Type"]
    headers += [("Content-Type", "application/json"), ("Connection", "close")]
    return refusal.code or 500, headers, error_body(refusal).encode()


OVERLOADED = (
    503,
    [("Content-Type", "application/json"), ("Retry-After", "1")],
    error_body(ServiceUnavailable("too many requests at once: try again")).encode(),
)
"""The answer to a request for which there is no place in the queue. It is made once: it has to be cheap."""


def end_with_parent() -> None:
    """End this process when the one that started it is gone; granian's workers would live on and keep the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()


def create_service() -> Service:
    """Make the service of one of granian's workers.

    Raises:
        BuiltModelError, BearerTokenError: See `flask_server.app.read_settings`.
    """
    end_with_parent()
    return Service(create_app())
