"""Reads answers of gRPC over HTTP/2."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote

from loadtest.resilience.hostile.conversation import ENDED, Reply
from loadtest.resilience.hostile.request import Paced
from loadtest.wire.grpc import http2

STREAM = 1
MARK = b"go on..?"
"""A PING of these bytes ends what has no call to be answered: where the server answers it, it goes on."""


class GrpcListener:
    """Reads the answers of one connection, and keeps the account of what may be sent on its first stream."""

    def __init__(self) -> None:
        self._reader = http2.FrameReader()
        self._decoder = http2.FieldDecoder()
        self._block = b""
        self._windows = {0: http2.DEFAULT_WINDOW, STREAM: http2.DEFAULT_WINDOW}
        self._initial = http2.DEFAULT_WINDOW
        self._widened = asyncio.Event()
        self._worst: tuple[int, str, bool] | None = None
        self._answers = 0
        self._ending = ""
        self._goes_on = False

    def feed(self, data: bytes) -> bytes:
        """Take what came; return acknowledgements."""
        try:
            return b"".join(map(self._take, self._reader.feed(data)))
        except http2.ProtocolError as error:
            self._ending = self._ending or f"no HTTP/2 ({error}): {data[:60]!r}"
            return b""

    def _take(self, frame: http2.Frame) -> bytes:
        if frame.kind == http2.SETTINGS and not frame.flags & http2.ACK:
            initial = http2.decode_settings(frame.payload).get(http2.INITIAL_WINDOW_SIZE, self._initial)
            self._widen(STREAM, initial - self._initial)
            self._initial = initial
            return http2.frame(http2.SETTINGS, http2.ACK, 0)
        if frame.kind == http2.PING:
            if not frame.flags & http2.ACK:
                return http2.frame(http2.PING, http2.ACK, 0, frame.payload)
            self._goes_on = self._goes_on or frame.payload == MARK
        elif frame.kind == http2.WINDOW_UPDATE:
            self._widen(frame.stream, http2.read_uint31(frame.payload))
        elif frame.kind == http2.RST_STREAM:
            self._ending = self._ending or f"stream ended: {http2.error_name(http2.read_uint31(frame.payload))}"
        elif frame.kind == http2.GOAWAY:
            if code := http2.read_uint31(frame.payload, 4):
                said = frame.payload[8:].decode(errors="replace")
                self._ending = self._ending or f"connection ended: {http2.error_name(code)} {said}".strip()
        elif frame.kind in (http2.HEADERS, http2.CONTINUATION):
            self._block += frame.content if frame.kind == http2.HEADERS else frame.payload
            if frame.flags & http2.END_HEADERS:
                self._headers(self._decoder.decode(self._block))
                self._block = b""
        return b""

    def _widen(self, stream: int, by: int) -> None:
        if stream in self._windows:
            self._windows[stream] += by
            self._widened.set()

    def _headers(self, fields: dict[bytes, bytes]) -> None:
        status = fields.get(b"grpc-status", b"")
        if status.isdigit():
            code, said = int(status), unquote(fields.get(b"grpc-message", b"").decode(errors="replace"))
        elif (http := fields.get(b":status", b"")).isdigit() and http != b"200":
            code, said = int(http), ""
        else:
            return
        self._answers += 1
        if self._worst is None or code > self._worst[0]:
            self._worst = (code, said, bool(said.strip()))

    def is_done(self, answers: int) -> bool:
        """Whether so many are there, or the server ended the stream or the connection, or goes on after a ping."""
        return self._answers >= answers or bool(self._ending) or self._goes_on

    def reply(self, ending: str) -> Reply:
        """What was said: the status of the call, or how its stream ended."""
        if self._worst is not None:
            return Reply(*self._worst, self._answers)
        if self._ending:
            return Reply(-1, self._ending, ending=ENDED)
        if self._goes_on:
            return Reply(0, "a ping is answered")
        return Reply(-1, ending=ending or ENDED)

    async def frames(self, paced: Paced) -> AsyncIterator[bytes]:
        """DATA frames of stream 1, as far as the windows of stream and connection are open (RFC 9113, 5.2)."""
        rest = memoryview(paced.content)
        while rest and not self._ending:
            room = min(http2.MAX_FRAME, *self._windows.values())
            if room <= 0:
                self._widened.clear()
                await self._widened.wait()
                continue
            part, rest = bytes(rest[:room]), rest[room:]
            for stream in self._windows:
                self._windows[stream] -= len(part)
            last = http2.END_STREAM if paced.ends and not rest else 0
            yield http2.frame(http2.DATA, last, STREAM, part)
