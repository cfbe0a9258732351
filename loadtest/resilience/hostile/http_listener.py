"""Reads answers over HTTP/1.1."""

import json
from collections.abc import AsyncIterator

import httptools

from loadtest.resilience.hostile.conversation import Reply
from loadtest.resilience.hostile.request import Paced

KEPT = 64 * 1024
"""Bytes of a body that are kept."""


class HttpListener:
    """Reads the answers of one connection, each in full."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._first: tuple[int, bytes] | None = None
        self._answers = 0
        self._fault = ""

    def feed(self, data: bytes) -> bytes:
        """Take what came; nothing has to be sent."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fault = self._fault or f"no HTTP/1.1 ({error}): {data[:60]!r}"
        except httptools.HttpParserUpgrade:
            pass
        return b""

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body[: KEPT - len(self._body)] if len(self._body) < KEPT else b""

    def on_message_complete(self) -> None:
        """Called by the parser."""
        status, body = self._parser.get_status_code(), bytes(self._body)
        self._body.clear()
        if status < 200:
            return
        self._answers += 1
        # Of several answers the worst one is told.
        if self._first is None or status > self._first[0]:
            self._first = (status, body)

    def is_done(self, answers: int) -> bool:
        """Whether so many are there, or what came is no HTTP."""
        return self._answers >= answers or bool(self._fault)

    def reply(self, ending: str) -> Reply:
        """What was said, the reason where the body holds one."""
        if self._first is None:
            return Reply(-1, self._fault, ending=ending or "ended")
        status, body = self._first
        reason = _reason(body)
        text = body.decode(errors="replace") if reason is None else reason
        return Reply(status, text, reason is not None, self._answers)

    async def frames(self, paced: Paced) -> AsyncIterator[bytes]:
        """There are none in HTTP/1.1: the content is sent as it is."""
        yield paced.content


def _reason(body: bytes) -> str | None:
    """What the JSON body of an error says, in the form of any of the servers; None where it says nothing."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    return next((one for key in ("error", "message") if isinstance(one := told.get(key), str) and one.strip()), None)
