"""One HTTP connection: uvicorn's, with limits for the head of a request, and with its refusals in JSON.

uvicorn has no limit for the size of a head or for the time that it takes, and answers what is no HTTP in plain text.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tf_serving.embedded.rest import error_response

MAX_HEAD = 256 * 1024  # bytes of the request line and the header fields, and of the fields behind the chunks of a body
HEAD_SECONDS = 30  # for a head that has begun to be at its end

INVALID = 400, "Invalid HTTP request received."
TOO_LARGE = 431, f"the head of the request exceeds {MAX_HEAD} bytes"
TOO_SLOW = 408, f"the head of the request did not arrive within {HEAD_SECONDS} s"


class _RefusedError(Exception):
    """Ends the parsing of a request; `HttpConnection` knows why."""


class HttpConnection(HttpToolsProtocol):
    """The protocol of one connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._refusal = INVALID
        self._in_head = False
        self._received = self._fields = 0  # bytes since the head began, and of its fields so far
        self._late: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head, self._received, self._fields = True, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field, of the head or behind the chunks of a body.

        Raises:
            _RefusedError: They are too many.
        """
        self._fields += len(name) + len(value)
        if self._fields > MAX_HEAD:
            self._refusal = TOO_LARGE
            raise _RefusedError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._in_head = False
        if self._late is not None:
            self._late.cancel()
            self._late = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that is not at its end has so long to be there, and may have so many bytes."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._received += len(data)
        if self._received > MAX_HEAD:
            self._refuse(TOO_LARGE)
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._refuse, TOO_SLOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what uvicorn's parser does not take."""
        self._refuse(self._refusal)

    def _refuse(self, why: tuple[int, str]) -> None:
        if self.transport.is_closing():
            return
        response = error_response(*why)
        size = len(response.body)
        head = f"content-type: {response.content_type}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[response.status] + head.encode() + response.body)
        self.transport.close()
