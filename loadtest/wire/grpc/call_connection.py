"""The HTTP/2 connection of one slot: one gRPC call at a time.

The fast path: an answer whose bytes, but for the stream identifier, equal those of an answer to the same payload that
was decoded and found correct needs no second decoding. Any other bytes are taken apart frame by frame.
"""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic_ns

from loadtest.load.engine import MISMATCHED
from loadtest.wire.grpc import http2
from loadtest.wire.grpc.answer_reader import AnswerReader
from loadtest.wire.grpc.calls import Calls
from loadtest.wire.kept_connection import LEFT, MAX_BODY, ConnectionPool, HandshakeError, KeptConnection

HANDSHAKE_S = 5.0
LAST_STREAM = 1 << 30
"""A connection is replaced beyond this stream identifier; they end at 2^31 - 1, and not every call is checked."""
REFILL = 1 << 29
"""Bytes of answers after which the server is granted as many again; the whole window is four times as large."""
MAX_REMEMBERED = 1 << 20
"""Largest answer, in bytes, that is remembered as a correct one."""
CANCEL = 8

CLIENT_PREFACE = (
    http2.PREFACE
    + http2.settings_frame(
        {http2.HEADER_TABLE_SIZE: 0, http2.ENABLE_PUSH: 0, http2.INITIAL_WINDOW_SIZE: http2.MAX_WINDOW}
    )
    + http2.window_update(0, http2.MAX_WINDOW - http2.DEFAULT_WINDOW)
)


class CallConnection(KeptConnection):
    """One HTTP/2 connection with one call in flight."""

    def __init__(self, pool: ConnectionPool, calls: Calls) -> None:
        super().__init__(pool)
        self.detail = ""  # what the server said of the last call that failed
        self._calls = calls
        self._sizes = calls.sizes
        self._known = calls.known_answers
        self._start_over()
        self._reset()

    def _start_over(self) -> None:
        """Set the state of a new connection (the initial values of RFC 9113)."""
        self._reader = http2.FrameReader()
        self._frames: Sequence[http2.Frame] = ()  # of the latest read that was taken apart
        self._settled = asyncio.Event()  # the server's first SETTINGS are here, or will not come
        self._refusal = ""  # error kind of a connection that will not be settled
        self._goaway = ""  # error kind of calls that come after a GOAWAY
        self._stream = -1
        self._quick = False  # whether a call may be written in one go
        self._waiting = False  # whether a call waits for permission to open a stream
        self._literal = False  # whether the server's header table is too small to be used
        self._requests: Sequence[tuple[bytes, ...]] = ()
        self._window = self._stream_window = self._initial_window = http2.DEFAULT_WINDOW
        self._max_streams = http2.MAX_WINDOW
        self._received = 0
        self._size = self._granted = 0

    def _reset(self) -> None:
        self._answer = AnswerReader()
        self._expected = b""
        self._unsent = memoryview(b"")

    # -- sending

    def send(self, payload: int) -> None:
        """Write the call, or open the connection first."""
        self._payload = payload
        size = self._sizes[payload]
        if self._quick and size <= self._window:
            self._window -= size
            self._stream += 2
            stream = self._stream.to_bytes(4, "big")
            self._write(stream.join(self._requests[payload]))
            # Made while the server is at work: the answer that is expected of it.
            pieces, self._size, self._granted = self._known[payload]
            self._expected = stream.join(pieces)
        elif self._write is not None:
            self._begin()
        else:
            self._open_first()

    def _begin(self) -> None:
        """Write a call step by step: the first of a connection, a large one, or one that has to wait."""
        if self._goaway:
            self.abort(self._goaway)
            return
        self._waiting = self._max_streams == 0
        if self._waiting:
            return
        fields = self._calls.fields
        block = fields.literal if self._literal else fields.first if self._stream < 0 else fields.again
        self._stream += 2
        self._write(http2.frame(http2.HEADERS, http2.END_HEADERS, self._stream, block))
        self._unsent = memoryview(self._calls.bodies[self._payload])
        self._stream_window = self._initial_window
        self._push()
        pieces, self._size, self._granted = self._known[self._payload]
        self._expected = self._stream.to_bytes(4, "big").join(pieces)
        self._requests = self._calls.literal_requests if self._literal else self._calls.requests
        self._quick = self._initial_window >= http2.DEFAULT_WINDOW

    def _push(self) -> None:
        """Write as much of the message as the server's flow control lets through (RFC 9113, 5.2)."""
        while self._unsent:
            size = min(len(self._unsent), http2.MAX_FRAME, self._window, self._stream_window)
            if size <= 0:
                break
            ends = http2.END_STREAM if size == len(self._unsent) else 0
            self._write(http2.frame(http2.DATA, ends, self._stream, bytes(self._unsent[:size])))
            self._unsent = self._unsent[size:]
            self._window -= size
            self._stream_window -= size

    @property
    def is_written(self) -> bool:
        """Whether all of the present call was given to the kernel."""
        return super().is_written and not self._unsent

    def leave(self) -> None:
        """Cancel the call in flight, and leave the connection open (RST_STREAM with CANCEL, RFC 9113, 6.4 and 7)."""
        if self._write is None:
            super().leave()
            return
        self._write(http2.frame(http2.RST_STREAM, 0, self._stream, CANCEL.to_bytes(4, "big")))
        self._fail(LEFT)

    # -- opening and closing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the client's connection preface (RFC 9113, 3.4)."""
        super().connection_made(transport)
        self._start_over()
        self._write(CLIENT_PREFACE)

    async def _handshake(self) -> None:
        """Wait for the server's SETTINGS, which show that it speaks HTTP/2 and how much it takes."""
        encryption = self._transport.get_extra_info("ssl_object") if self._transport else None
        if encryption is not None and encryption.selected_alpn_protocol() != "h2":
            raise HandshakeError("not_http2")
        await asyncio.wait_for(self._settled.wait(), HANDSHAKE_S)
        if self._refusal:
            raise HandshakeError(self._refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a call in flight as failed; an idle connection reopens with its next call."""
        opened = self._write is not None
        kind = self._lost(exc, received=self._answer.reads > 0)
        self._quick = False
        if not opened:
            return
        if not self._settled.is_set():
            self._refuse("not_http2" if kind == "truncated" else kind)
        elif not self._refusal:
            self._fail(self._goaway or kind)

    def _close(self) -> None:
        self._quick = False
        super()._close()

    def _refuse(self, kind: str) -> None:
        self._refusal = kind
        self._settled.set()

    # -- answers

    def data_received(self, data: bytes) -> None:
        """Take the fast path for known bytes; take all others apart frame by frame. The clock is read before either."""
        self.arrived = now = monotonic_ns()
        turn = self._turn
        if turn.over:
            turn.begin(now)
        self.readable = turn.readable
        if data == self._expected and self.busy:
            self._window += self._granted
            self._received += self._size
            if self._received >= REFILL:
                self._finish_call()
            self._pool.owner.completed(self)
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        if self._refusal:
            return
        reader, answer = self._reader, self._answer
        answer.reads += 1
        try:
            frames = self._frames = reader.feed(data)
            for frame in frames:
                self._take(frame)
                if self._reader is not reader or self._transport is None:
                    return  # dropped, and perhaps being opened anew
        except http2.ProtocolError:
            if self._settled.is_set():
                self.abort("malformed_response")
            else:
                self._refuse("not_http2")
            return
        if reader.rest or self._answer.begun:
            self._expected = b""  # what comes next is not a whole answer
        else:
            answer.reads = 0  # nothing but control frames, or the answer is complete

    def _take(self, frame: http2.Frame) -> None:
        kind = frame.kind
        if kind == http2.SETTINGS:
            if not frame.flags & http2.ACK:
                self._apply_settings(http2.decode_settings(frame.payload))
        elif not self._settled.is_set():
            raise http2.ProtocolError("SETTINGS must come first")
        elif kind in (http2.DATA, http2.HEADERS, http2.CONTINUATION):
            self._take_answer(frame)
        elif kind == http2.PING:
            if not frame.flags & http2.ACK:
                self._write(http2.frame(http2.PING, http2.ACK, 0, frame.payload))
        elif kind == http2.WINDOW_UPDATE:
            self._update_window(frame.stream, http2.read_uint31(frame.payload))
        elif kind == http2.RST_STREAM:
            if frame.stream == self._stream:
                self._fail(f"rst_stream_{http2.error_name(http2.read_uint31(frame.payload))}")
        elif kind == http2.GOAWAY:
            self._go_away(http2.read_uint31(frame.payload), http2.read_uint31(frame.payload, 4))
        elif kind == http2.PUSH_PROMISE:
            raise http2.ProtocolError("a push, which was switched off")

    def _take_answer(self, frame: http2.Frame) -> None:
        answer = self._answer
        if not self.busy or frame.stream != self._stream:
            raise http2.ProtocolError("an answer nobody asked for")
        complete = answer.take(frame, self._calls.decoder.decode)
        if frame.kind == http2.DATA:
            self._received += len(frame.payload)
            if self._received >= REFILL:
                self._refill()
        if complete:
            self._answered(answer)
        elif answer.size > MAX_BODY:
            self.abort("body_too_large")

    def _answered(self, answer: AnswerReader) -> None:
        payload, calls = self._payload, self._calls
        if self._unsent:  # the server did not want all of the message: an error, most likely
            self._write(http2.frame(http2.RST_STREAM, 0, self._stream, CANCEL.to_bytes(4, "big")))
        self._reset()
        self._finish_call()
        kind, message = answer.outcome()
        if kind:
            self.detail = answer.detail
            self._fail(kind)
        elif message == calls.verified[payload] or calls.expectation.matches(payload, message):
            if answer.size <= MAX_REMEMBERED:
                calls.verified[payload] = message
                if answer.reads == 1 and not self._reader.rest:
                    self._known[payload] = http2.read_pattern(self._frames, self._stream) or self._known[payload]
            self._pool.owner.completed(self)
        else:
            self._fail(MISMATCHED)

    def _finish_call(self) -> None:
        """Between two calls: grant the server a new window where it is due; close a connection that is spent."""
        if self._received >= REFILL:
            self._refill()
        if self._goaway or self._stream > LAST_STREAM:
            self._close()

    def _refill(self) -> None:
        self._write(http2.window_update(0, self._received))
        self._received = 0

    # -- control frames of the server

    def _apply_settings(self, values: Mapping[int, int]) -> None:
        """Apply the server's SETTINGS (RFC 9113, 6.5)."""
        window = values.get(http2.INITIAL_WINDOW_SIZE, self._initial_window)
        self._stream_window += window - self._initial_window
        self._initial_window = window
        self._max_streams = values.get(http2.MAX_CONCURRENT_STREAMS, self._max_streams)
        if values.get(http2.HEADER_TABLE_SIZE, http2.DEFAULT_TABLE) < http2.DEFAULT_TABLE:
            self._literal = True
        self._quick = False  # until a call has been written with these settings
        self._write(http2.frame(http2.SETTINGS, http2.ACK, 0))
        self._settled.set()
        if self._waiting:
            self._begin()
        else:
            self._push()

    def _update_window(self, stream: int, increment: int) -> None:
        """Continue to send with a larger window (RFC 9113, 6.9)."""
        if stream == 0:
            self._window += increment
        elif stream == self._stream:
            self._stream_window += increment
        self._push()

    def _go_away(self, last: int, code: int) -> None:
        """Open no further stream here (RFC 9113, 6.8); a call that the server has taken may still be answered."""
        self._goaway = f"goaway_{http2.error_name(code)}" if code else "goaway"
        self._quick = False
        self._expected = b""
        if not self.busy:
            self._close()
        elif self._waiting or self._stream > last:
            self.abort(self._goaway)
