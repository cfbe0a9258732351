"""What a kept connection does in any protocol: it opens, pauses between failures, closes, and names how it failed.

`http1` and `grpc.call_connection` add the protocol: how a request is written and how an answer is read.
"""

import abc
import asyncio
import contextlib
import errno
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from loadtest.load.engine import SlotOwner
from loadtest.load.loop_turn import KnownTurn, LoopTurn, Turn
from loadtest.wire.stamped_transport import StampedSockets

LEFT = "left"
"""Kind of error of a request that its own client gave up."""

MAX_BODY = 16 * 1024 * 1024
FIRST_BACKOFF_S = 0.001
MAX_BACKOFF_S = 0.1
OPENING_AT_ONCE = 64


class Reachable(Protocol):
    """Where a connection goes; see `loadtest.wire.http1.HttpTarget`."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """TCP port."""

    @property
    def tls(self) -> bool:
        """Whether to speak TLS."""

    @property
    def address(self) -> str:
        """Resolved address; the host is looked up for each connection where it is empty."""


class HandshakeError(OSError):
    """The server took the connection and then did not speak the protocol.

    Attributes:
        kind: The error kind that the request it was opened for ends in.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class KeptConnection(asyncio.Protocol, abc.ABC):
    """One connection that carries one request at a time; a slot of the engine.

    It opens itself when it is given a request while closed, so that the time to connect counts as service time and a
    failure to connect is the failure of that request.
    """

    def __init__(self, pool: "ConnectionPool") -> None:
        self.intended = self.sent = self.free_at = self.readable = self.arrived = 0
        self.busy = False
        self._pool = pool
        self._turn: Turn = pool.turn
        self._payload = 0
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._write: Any = None  # takes bytes; None unless a request can be written
        self._backoff_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a request can be written at once."""
        return self._write is not None

    @abc.abstractmethod
    def send(self, payload: int) -> None:
        """Write the request, or open the connection first."""

    @abc.abstractmethod
    def _begin(self) -> None:
        """Write the present request to the connection that was just opened."""

    @abc.abstractmethod
    def _reset(self) -> None:
        """Discard what was read of an answer so far."""

    async def _handshake(self) -> None:
        """Wait until requests may be written; raises `OSError`."""

    def abort(self, kind: str) -> None:
        """Drop the connection and report the request in flight, if any, as failed."""
        self._drop()
        self._fail(kind)

    @property
    def is_written(self) -> bool:
        """Whether all of the present request was given to the kernel."""
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def leave(self) -> None:
        """Go away in the middle of a request whose answer nobody wants any more: reset the connection (RFC 9293, 3.5).

        The request is reported as failed, of kind ``left``.
        """
        plain = self._transport.get_extra_info("socket") if self._transport else None
        if plain is not None:
            # Closed without lingering, a connection is reset and not finished: the server need not send to notice.
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort(LEFT)

    async def open(self) -> None:
        """Connect now; failures are left to the first request."""
        try:
            with contextlib.suppress(OSError):
                await self._connect()
        except asyncio.CancelledError:
            self._close()
            raise

    async def _connect(self) -> None:
        target = self._pool.target
        try:
            if self._pool.stamped:
                await self._connect_stamped(self._pool.stamped)
                return
            await self._pool.loop.create_connection(
                lambda: self,
                target.address or target.host,
                target.port,
                ssl=self._pool.tls,
                server_hostname=target.host if target.tls else None,
            )
            await self._handshake()
        except OSError:
            self._close()
            raise

    async def _connect_stamped(self, sockets: StampedSockets) -> None:
        target, loop = self._pool.target, self._pool.loop
        self._turn = turn = KnownTurn()
        found = [target.address] if target.address else await _addresses(loop, target)
        for address in found:
            try:
                await sockets.connect(address, target.port, self, turn.waited)
                break
            except OSError:
                if address == found[-1]:
                    raise
        await self._handshake()

    def _open_first(self) -> None:
        self._opening = self._pool.loop.create_task(self._open_and_begin())

    async def _open_and_begin(self) -> None:
        # Failures in a row are spaced out, so that a dead server does not turn a closed loop into a spin.
        if self._pool.owner.may_pause:
            await asyncio.sleep(self._backoff_s)
        try:
            await self._connect()
        except OSError as error:
            self._backoff_s = min(max(self._backoff_s * 2, FIRST_BACKOFF_S), MAX_BACKOFF_S)
            self._fail(_kind_of(error))
            return
        self._backoff_s = 0.0
        if self._write is None:
            return  # lost again already, which was reported
        if self.busy:
            self._begin()
        else:
            self._drop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember how to write to it."""
        self._transport = cast(asyncio.Transport, transport)
        self._write = direct_write(self._transport)
        self._reset()

    def _lost(self, exc: Exception | None, received: bool) -> str:
        """Note that the connection is gone.

        Args:
            exc: Why, where it was not closed cleanly.
            received: Whether a part of an answer had arrived.

        Returns:
            The error kind of a request that was in flight on it.
        """
        self._write = self._transport = None
        if exc is not None and not isinstance(exc, ConnectionResetError):
            return "tls_error" if isinstance(exc, ssl.SSLError) else "connection_lost"
        if received:
            return "truncated"
        return "connection_reset" if exc else "connection_closed"

    def _drop(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        self._close()

    def _close(self) -> None:
        transport, self._transport, self._write = self._transport, None, None
        if transport is not None:
            transport.abort()

    def _fail(self, kind: str) -> None:
        if self.busy:
            self._reset()
            self._pool.owner.failed(self, kind)


def direct_write(transport: asyncio.Transport) -> Callable[[bytes], None]:
    """Return a write that is done when it returns, for a plain socket; for any other transport its own write.

    That of uvloop's transports is put off to the end of the loop's turn, after every other answer of that turn was
    dealt with: the request would leave later than the time noted as its send. What the socket does not take at once
    goes to the transport, and so does everything after it, which keeps the order and leaves errors to the transport.
    """
    plain = transport.get_extra_info("socket")
    if plain is None or transport.get_extra_info("sslcontext") is not None:
        return transport.write
    descriptor = plain.fileno()
    direct = True

    def write(data: bytes) -> None:
        nonlocal direct
        written = 0
        if direct:
            try:
                written = os.write(descriptor, data)
            except OSError:
                direct = False
            if written == len(data):
                return
            direct = False
        transport.write(data[written:])

    return write


async def _addresses(loop: asyncio.AbstractEventLoop, target: Reachable) -> list[str]:
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


def _kind_of(error: OSError) -> str:
    """The error kind of a connection that could not be opened."""
    if isinstance(error, HandshakeError):
        return error.kind
    if isinstance(error, ssl.SSLError):
        return "tls_error"
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "out_of_file_descriptors"
    return "connect_failed"


class ConnectionPool:
    """The connections of one process to one target.

    Args:
        target: Where to.
        loop: The running event loop.
        tls: Set where the target speaks TLS.
    """

    def __init__(self, target: Reachable, loop: asyncio.AbstractEventLoop, tls: ssl.SSLContext | None) -> None:
        self.target = target
        self.loop = loop
        self.tls = tls
        self.owner: SlotOwner  # set by whoever uses the slots
        self.turn: Turn = LoopTurn(loop.call_soon, time.monotonic_ns)
        self.stamped: StampedSockets | None = None
        self.slots: Sequence[KeptConnection] = ()

    def stamp(self) -> None:
        """Have the kernel tell when each answer came in; not with TLS. To be called before `open`."""
        self.stamped = StampedSockets(self.loop) if self.tls is None else None

    async def open(self) -> None:
        """Open every connection that is not open, before a run begins."""
        turn = asyncio.Semaphore(OPENING_AT_ONCE)

        async def open_in_turn(slot: KeptConnection) -> None:
            async with turn:
                await slot.open()

        await asyncio.gather(*(open_in_turn(slot) for slot in self.slots if not slot.is_open))

    def close(self) -> None:
        """Drop every connection."""
        for slot in self.slots:
            slot.busy = False
            slot.abort("closed")
        if self.stamped is not None:
            self.stamped.close()
