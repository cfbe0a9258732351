"""Sends a hostile request over a bare connection, and keeps what comes back."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Protocol

from loadtest.resilience.hostile.request import HalfClose, HostileRequest, Paced, Part

READ = 64 * 1024
LINGER_S = 0.02
"""How long a client that has its answer listens on."""

ENDED, RESET, LATE, LEFT, REFUSED_CONNECTION = "ended", "reset", "late", "left", "connection refused"


@dataclass(frozen=True)
class Reply:
    """What a server said.

    Attributes:
        status: Of HTTP or gRPC; -1 where there was none.
        text: Its reason, or the beginning of the body.
        reasoned: Whether that is a reason in the form of the protocol: JSON over HTTP, ``grpc-message`` over gRPC.
        answers: How many answers there were.
        ending: How the connection ended where the client did not end it: ``ended``, ``reset``, ``late`` (the client's
            patience was over), ``left`` or ``connection refused``; nothing where there was an answer.
        seconds: From the first byte to the end.
    """

    status: int
    text: str = ""
    reasoned: bool = False
    answers: int = 0
    ending: str = ""
    seconds: float = 0.0


class Listener(Protocol):
    """Reads what a server sends, of one connection."""

    def feed(self, data: bytes) -> bytes:
        """Take what came; what is returned has to be sent."""

    def is_done(self, answers: int) -> bool:
        """Whether so many answers are there, or none can come any more."""

    def reply(self, ending: str) -> Reply:
        """What was said."""

    def frames(self, paced: Paced) -> AsyncIterator[bytes]:
        """The content in frames, each when it may be sent."""


async def converse(host: str, port: int, request: HostileRequest, listener: Listener) -> Reply:
    """Send a request and listen until it is answered, the connection ends or the patience is over.

    Args:
        host: Where to.
        port: Where to.
        request: What is sent.
        listener: A new one, of the protocol that the server speaks there.
    """
    parts = request.parts()  # before there is a connection that a server may tire of
    started = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return Reply(-1, ending=REFUSED_CONNECTION)
    sending = asyncio.create_task(_send(writer, parts, listener))
    listening = asyncio.create_task(_listen(reader, writer, listener, request, sending))
    ending = LATE
    try:
        async with asyncio.timeout(request.patience_s):
            ending = await listening
    except TimeoutError:
        pass
    finally:
        for task in (sending, listening):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
        writer.transport.abort()
    reply = listener.reply(ending)
    return Reply(reply.status, reply.text, reply.reasoned, reply.answers, reply.ending, time.monotonic() - started)


async def _send(writer: asyncio.StreamWriter, parts: Iterable[Part], listener: Listener) -> None:
    # A server that refuses early closes; what it said is read by the listener.
    with contextlib.suppress(OSError):
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            elif isinstance(part, HalfClose):
                writer.write_eof()
            elif isinstance(part, Paced):
                async for frame in listener.frames(part):
                    writer.write(frame)
                    await writer.drain()
            else:
                await asyncio.sleep(part)


async def _listen(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    listener: Listener,
    request: HostileRequest,
    sending: "asyncio.Task[None]",
) -> str:
    if request.deaf:
        await sending
    reading = asyncio.ensure_future(reader.read(READ))
    try:
        while True:
            done = listener.is_done(request.answers)
            waited = {reading} if sending.done() or done else {reading, sending}
            left = sending.done() and request.leaves and not done
            patience = request.watches_s or LINGER_S if done or left else None
            await asyncio.wait(waited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                data = reading.result()
                if not data:
                    return "" if done else ENDED
                if answer := listener.feed(data):
                    writer.write(answer)
                reading = asyncio.ensure_future(reader.read(READ))
            elif done:
                return ""
            elif left:
                return LEFT
    except OSError:
        return "" if listener.is_done(request.answers) else RESET
    finally:
        reading.cancel()
