"""An HTTP/2 server that answers gRPC calls in any way asked for and checks what the client does.

It has its own framing, so that a mistake of the client's is not made twice. Each `Script` is a port, served by a
thread; what the client did wrong is collected in `violations`.
"""

import asyncio
import contextlib
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 32
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MESSAGE = b"the right answer"
HEAD = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def prefixed(message: bytes = MESSAGE) -> bytes:
    """A message with its prefix."""
    return b"\0" + struct.pack(">I", len(message)) + message


@dataclass
class Call:
    """A request that was read whole."""

    stream: int
    fields: dict[str, str]
    message: bytes


Way = Callable[["Peer", Call], Awaitable[None]]


@dataclass
class Script:
    """A port and how it answers.

    Attributes:
        way: Answers a call.
        settings: What the server announces.
        grants: Whether it widens the windows as it reads.
        early: Done as soon as the fields of a call were read.
        greeting: Sent in place of SETTINGS.
        counts: ``connections``, ``calls`` and ``pongs``, which are PING answers with the right payload.
        fields: Request fields of every call.
        violations: What the client must not have done.
        resets: Error codes of the streams that the client reset.
        granted: What the client added to the connection's window, per connection.
        sent: Bytes of DATA sent to it, per connection.
    """

    way: Way
    settings: Mapping[int, int] = field(default_factory=dict)
    grants: bool = True
    early: Way | None = None
    greeting: bytes | None = None
    counts: Counter[str] = field(default_factory=Counter)
    fields: list[dict[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    granted: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Address of a method on it."""
        return f"grpc://127.0.0.1:{self.port}/test.Service/Method"

    @contextlib.contextmanager
    def serve(self) -> "Iterator[Script]":
        """Serve in a thread for as long as the context lasts."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        def stop() -> None:
            server.close()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.call_later(0.01, loop.stop)

        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop)
            thread.join()
            loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        self.granted.append(0)
        self.sent.append(0)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await Peer(self, reader, writer, self.counts["connections"] - 1).serve()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()


class Peer:
    """One accepted connection."""

    def __init__(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.script, self.reader, self.writer, self.number = script, reader, writer, number
        self.decoder = hpack.Decoder()
        self.table = 4096
        self.announced: list[int] = []
        self.encoder = hpack.Encoder()
        self.window = 65_535
        self.initial = script.settings.get(4, 65_535)
        self.stream_window = self.initial
        self.last = -1
        self.calls = 0
        self.allowed = script.settings.get(3) != 0
        self.allowing: asyncio.Task[None] | None = None

    async def send(self, data: bytes) -> None:
        """Write and wait until the kernel has it."""
        self.writer.write(data)
        await self.writer.drain()

    def headers(self, stream: int, fields: list[tuple[str, str]], ends: bool = False) -> bytes:
        """A HEADERS frame."""
        return frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), stream, self.encoder.encode(fields))

    def data(self, stream: int, payload: bytes) -> bytes:
        """A DATA frame; several where the payload is large."""
        self.script.sent[self.number] += len(payload)
        parts = [payload[i : i + 16_384] for i in range(0, len(payload), 16_384)] or [b""]
        return b"".join(frame(DATA, 0, stream, part) for part in parts)

    def answer(self, call: Call, message: bytes = MESSAGE) -> bytes:
        """The right answer."""
        return (
            self.headers(call.stream, HEAD)
            + self.data(call.stream, prefixed(message))
            + self.headers(call.stream, OK, True)
        )

    async def serve(self) -> None:
        """Read frames, and answer each call."""
        if await self.reader.readexactly(len(PREFACE)) != PREFACE:
            self.script.violations.append("no preface")
        if self.script.greeting is not None:
            return await self.send(self.script.greeting)
        await self.announce(dict(self.script.settings))
        if not self.allowed:
            self.allowing = asyncio.create_task(self._allow())
        call: Call | None = None
        while True:
            kind, flags, stream, payload = await self._read()
            if kind == SETTINGS and flags:
                # What was acknowledged holds from now on: hpack raises where the client does not tell of it.
                self.decoder.max_allowed_table_size = self.announced.pop(0)
            elif kind == SETTINGS:
                self._heed(payload)
                await self.send(frame(SETTINGS, 1, 0))
            elif kind == WINDOW_UPDATE and stream == 0:
                self.script.granted[self.number] += int.from_bytes(payload, "big")
            elif kind == PING and flags:
                self.script.counts["pongs"] += payload == b"are you?"
            elif kind == RST_STREAM:
                self.script.resets.append(int.from_bytes(payload, "big"))
                call = None
            elif kind == HEADERS:
                call = self._begin(stream, flags, payload)
                if self.script.early is not None:
                    await self.script.early(self, call)
            elif kind == DATA and call is not None:
                await self._take(call, flags, payload)
                if flags & END_STREAM:
                    await self.script.way(self, call)

    async def _allow(self) -> None:
        """A moment later, allow a stream after all."""
        await asyncio.sleep(0.02)
        self.allowed = True
        await self.announce({3: 1})

    async def announce(self, values: dict[int, int]) -> None:
        """Send SETTINGS."""
        self.initial = values.get(4, self.initial)
        self.table = values.get(1, self.table)
        self.announced.append(self.table)
        await self.send(frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *item) for item in values.items())))

    async def _read(self) -> tuple[int, int, int, bytes]:
        head = await self.reader.readexactly(9)
        size = int.from_bytes(head[:3], "big")
        if size > 16_384:
            self.script.violations.append(f"a frame of {size} bytes")
        stream = int.from_bytes(head[5:], "big")
        return head[3], head[4], stream, await self.reader.readexactly(size)

    def _heed(self, payload: bytes) -> None:
        values = dict(struct.iter_unpack(">HI", payload))
        self.encoder.header_table_size = values.get(1, 4096)

    def _begin(self, stream: int, flags: int, payload: bytes) -> Call:
        self.calls += 1
        self.script.counts["calls"] += 1
        if stream % 2 == 0 or stream <= self.last:
            self.script.violations.append(f"stream {stream} after {self.last}")
        if not self.allowed:
            self.script.violations.append("a stream that was not allowed")
        self.last = stream
        self.stream_window = self.initial
        try:
            fields = {str(name): str(value) for name, value in self.decoder.decode(payload)}
        except hpack.HPACKError as error:
            self.script.violations.append(f"header block: {error!r}")
            fields = {}
        self.script.fields.append(fields)
        return Call(stream, fields, b"")

    async def _take(self, call: Call, flags: int, payload: bytes) -> None:
        call.message += payload
        self.window -= len(payload)
        self.stream_window -= len(payload)
        if self.window < 0 or self.stream_window < 0:
            self.script.violations.append(f"windows overrun: {self.window}, {self.stream_window}")
        if self.script.grants and payload:
            increment = struct.pack(">I", len(payload))
            self.window += len(payload)
            self.stream_window += len(payload)
            grant = frame(WINDOW_UPDATE, 0, 0, increment)
            if not flags & END_STREAM:
                grant += frame(WINDOW_UPDATE, 0, call.stream, increment)
            await self.send(grant)


# -- ways to answer: each takes the connection and a call


async def right(peer: Peer, call: Call) -> None:
    """The right answer in one write."""
    await peer.send(peer.answer(call))


async def byte_by_byte(peer: Peer, call: Call) -> None:
    """The right answer, a write for each byte."""
    for byte in peer.answer(call):
        await peer.send(bytes([byte]))
        await asyncio.sleep(0)


async def frame_by_frame(peer: Peer, call: Call) -> None:
    """The right answer, a write for each frame."""
    for part in (
        peer.headers(call.stream, HEAD),
        peer.data(call.stream, prefixed()),
        peer.headers(call.stream, OK, True),
    ):
        await peer.send(part)
        await asyncio.sleep(0.001)


async def decorated(peer: Peer, call: Call) -> None:
    """The right answer with everything that HTTP/2 allows in and around it."""
    block = peer.encoder.encode(HEAD)
    body = prefixed()
    await peer.send(
        frame(PING, 0, 0, b"are you?")
        + frame(0xFA, 3, call.stream, b"unknown")
        + peer.headers(call.stream, [(":status", "103"), ("link", "</style.css>")])
        + frame(HEADERS, PADDED | WITH_PRIORITY, call.stream, b"\x03" + b"\0\0\0\0\x10" + block[:3] + bytes(3))
        + frame(CONTINUATION, 0, call.stream, block[3:5])
        + frame(CONTINUATION, END_HEADERS, call.stream, block[5:])
        + frame(PRIORITY, 0, call.stream, b"\0\0\0\0\x10")
        + frame(DATA, PADDED, call.stream, b"\x05" + body[:7] + bytes(5))
        + frame(DATA, 0, call.stream)
        + frame(WINDOW_UPDATE, 0, call.stream, b"\0\0\0\x01")
        + frame(DATA, 0, call.stream, body[7:])
        + frame(HEADERS, END_STREAM, call.stream)
        + frame(CONTINUATION, END_HEADERS, call.stream, peer.encoder.encode([*OK, ("n", str(peer.calls))]))
        + frame(RST_STREAM, 0, call.stream, bytes(4))
    )


async def twice(peer: Peer, call: Call) -> None:
    """The right answer, and a moment later the same again."""
    answer = peer.answer(call)
    await peer.send(answer)
    await asyncio.sleep(0.002)
    await peer.send(answer)


async def head_twice(peer: Peer, call: Call) -> None:
    """The fields of the right answer, and a moment later all of it."""
    await peer.send(peer.headers(call.stream, HEAD))
    await asyncio.sleep(0.002)
    await peer.send(peer.answer(call))


async def tail_only(peer: Peer, call: Call) -> None:
    """The end of an answer."""
    await peer.send(peer.headers(call.stream, OK, True))


async def granting(peer: Peer, call: Call) -> None:
    """The right answer, and in the same write leave to send as much again."""
    peer.window += len(call.message)
    await peer.send(peer.answer(call) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(call.message))))


async def never(peer: Peer, call: Call) -> None:
    """No answer."""


async def wrong(peer: Peer, call: Call) -> None:
    """A wrong answer."""
    await peer.send(peer.answer(call, b"the wrong answer"))


async def refused(peer: Peer, call: Call) -> None:
    """The stream is reset."""
    await peer.send(frame(RST_STREAM, 0, call.stream, b"\0\0\0\x07"))


async def failed(peer: Peer, call: Call) -> None:
    """An error status without a message, as most servers send it."""
    fields = [*HEAD, ("grpc-status", "8"), ("grpc-message", "too %C3%BCber 100%25")]
    await peer.send(peer.headers(call.stream, fields, True))


async def unknown_status(peer: Peer, call: Call) -> None:
    """A status that does not exist."""
    await peer.send(peer.headers(call.stream, [*HEAD, ("grpc-status", "99")], True))


async def without_status(peer: Peer, call: Call) -> None:
    """An answer that ends with its data."""
    await peer.send(peer.headers(call.stream, HEAD) + frame(DATA, END_STREAM, call.stream, prefixed()))


async def http_error(peer: Peer, call: Call) -> None:
    """A proxy's answer."""
    await peer.send(peer.headers(call.stream, [(":status", "503"), ("content-type", "text/html")], True))


async def not_grpc(peer: Peer, call: Call) -> None:
    """A web page."""
    fields = [(":status", "200"), ("content-type", "text/html")]
    await peer.send(peer.headers(call.stream, fields) + frame(DATA, END_STREAM, call.stream, b"<html>"))


async def compressed(peer: Peer, call: Call) -> None:
    """A message with the flag of compression, which was not offered."""
    body = b"\1" + prefixed()[1:]
    await peer.send(
        peer.headers(call.stream, HEAD) + peer.data(call.stream, body) + peer.headers(call.stream, OK, True)
    )


async def short_message(peer: Peer, call: Call) -> None:
    """A message shorter than it says."""
    body = prefixed()[:-1]
    await peer.send(
        peer.headers(call.stream, HEAD) + peer.data(call.stream, body) + peer.headers(call.stream, OK, True)
    )


async def empty(peer: Peer, call: Call) -> None:
    """Status OK without a message."""
    await peer.send(peer.headers(call.stream, HEAD) + peer.headers(call.stream, OK, True))


async def table_reference(peer: Peer, call: Call) -> None:
    """A reference into the header table that was switched off."""
    await peer.send(frame(HEADERS, END_HEADERS, call.stream, b"\xbe"))


async def overpadded(peer: Peer, call: Call) -> None:
    """More padding than payload."""
    await peer.send(frame(DATA, PADDED, call.stream, b"\x09abc"))


async def garbage(peer: Peer, call: Call) -> None:
    """What is no frame."""
    await peer.send(b"\xff" * 20)


async def pushed(peer: Peer, call: Call) -> None:
    """A push."""
    await peer.send(frame(PUSH_PROMISE, END_HEADERS, call.stream, b"\0\0\0\x02\x82"))


async def other_stream(peer: Peer, call: Call) -> None:
    """An answer to a call that was not made."""
    await peer.send(peer.headers(call.stream + 2, HEAD))


async def endless_fields(peer: Peer, call: Call) -> None:
    """A header block without an end."""
    await peer.send(frame(HEADERS, 0, call.stream, bytes(10_000)))
    for _ in range(10):
        await peer.send(frame(CONTINUATION, 0, call.stream, bytes(10_000)))


async def truncated(peer: Peer, call: Call) -> None:
    """A part of the answer, and the end of the connection."""
    await peer.send(peer.answer(call)[:-10])
    peer.writer.close()


async def closed(peer: Peer, call: Call) -> None:
    """The end of the connection."""
    peer.writer.close()


async def reset(peer: Peer, call: Call) -> None:
    """A connection that is torn down."""
    peer.writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER
    peer.writer.transport.abort()


async def goaway_unread(peer: Peer, call: Call) -> None:
    """A GOAWAY that says that the call was not looked at."""
    await peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", call.stream - 1, 0)))


async def goaway_calm(peer: Peer, call: Call) -> None:
    """A GOAWAY with an error code."""
    await peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", call.stream - 1, 11) + b"too_many_pings"))


async def goaway_then_right(peer: Peer, call: Call) -> None:
    """A GOAWAY that lets the call end, which it does."""
    await peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", 2**31 - 1, 0)) + frame(PING, 0, 0, b"are you?"))
    await asyncio.sleep(0.001)
    await peer.send(peer.answer(call) + frame(GOAWAY, 0, 0, struct.pack(">II", call.stream, 0)))


async def goaway_then_closed(peer: Peer, call: Call) -> None:
    """A GOAWAY that lets the call end, and then the end of the connection without an answer."""
    await peer.send(frame(GOAWAY, 0, 0, struct.pack(">II", call.stream, 0)))
    await asyncio.sleep(0.001)
    peer.writer.close()


async def changing_settings(peer: Peer, call: Call) -> None:
    """The right answer, and other settings each time."""
    if peer.calls % 2:
        # From now on no header table, and a window that grows.
        await peer.announce({1: 0, 4: 70_000 + peer.calls})
    await peer.send(peer.answer(call))
