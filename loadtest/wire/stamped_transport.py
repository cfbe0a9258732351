"""A plain TCP connection whose answers carry the kernel's receive time stamps.

The kernel notes when a packet came in (SO_TIMESTAMPING, Documentation/networking/timestamping.rst of Linux); what has
passed since then, when a program reads it, is the client's share of a response time: waking up, and waiting for the
answers before it in the same turn of the event loop. Transports of event loops drop that note, so this one reads the
socket itself. Stamps are those of the last bytes read, in CLOCK_REALTIME, so both readings are of that clock.
"""

import asyncio
import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from loadtest.wire.wall_clock import WallClock

SO_TIMESTAMPING = 37
RX_SOFTWARE = 1 << 3
SOFTWARE = 1 << 4
_SECONDS_AND_NANOSECONDS = struct.Struct("=qq")
READ_SIZE = 256 * 1024
_BUFFER = bytearray(READ_SIZE)
_VIEW = memoryview(_BUFFER)
ANCILLARY_SIZE = 256
TRIES = 50
"""Bytes, 10 ms apart, none of which is stamped by a kernel that stamps none."""

AVAILABLE = sys.platform == "linux" and struct.calcsize("P") == 8


def stamps_are_given() -> bool:
    """Whether this kernel stamps what comes in: bytes are sent over the loopback to find out.

    It begins to do so a moment after a program has asked for it (`net_enable_timestamp` of Linux puts that off).
    """
    if not AVAILABLE:
        return False
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as ours:
            _ask_for_stamps(ours)
            ours.settimeout(2.0)
            ours.connect(server.getsockname())
            theirs, _ = server.accept()
            with theirs:
                for _ in range(TRIES):
                    theirs.sendall(b"?")
                    if _stamp(ours.recvmsg(1, ANCILLARY_SIZE)[1]):
                        return True
                    time.sleep(0.01)
    except OSError:
        pass
    return False


def _ask_for_stamps(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | SOFTWARE)


def _stamp(notes: Sequence[tuple[int, int, bytes]]) -> int:
    """When the last of the bytes read came in (CLOCK_REALTIME, ns); 0 where the kernel does not say."""
    for level, kind, content in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING:
            seconds, nanoseconds = _SECONDS_AND_NANOSECONDS.unpack_from(content)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return 0


class StampedSockets:
    """The stamped connections of one process.

    The loop watches one epoll that watches them all: a reader of each would cost it a callback for each answer, and
    uvloop forgets a reader whose connection is reset.

    Args:
        loop: The running event loop.

    Attributes:
        clock: What their stamps are readings of.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.clock = WallClock()
        self._epoll = select.epoll()
        self._transports: dict[int, StampedTransport] = {}
        loop.add_reader(self._epoll.fileno(), self._happened)

    async def connect(
        self, address: str, port: int, protocol: asyncio.Protocol, note: Callable[[int | None], None]
    ) -> None:
        """Connect, with the kernel's time stamps on.

        Args:
            address: Resolved, of IPv4 or IPv6.
            port: TCP port.
            protocol: What is called back.
            note: See `StampedTransport`.

        Raises:
            OSError: If the connection cannot be made, or the kernel knows no time stamps.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _ask_for_stamps(sock)
            await self._loop.sock_connect(sock, (address, port))
        except BaseException:
            with contextlib.suppress(OSError):
                sock.close()
            raise
        transport = StampedTransport(self._loop, sock, protocol, note, self)
        self._transports[sock.fileno()] = transport
        self._epoll.register(sock, select.EPOLLIN)
        protocol.connection_made(transport)

    def watch_writes(self, sock: socket.socket, wanted: bool) -> None:
        """Tell this socket's transport when it takes more, or tell it no longer."""
        self._epoll.modify(sock, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def forget(self, sock: socket.socket) -> None:
        """Watch this socket no longer; to be called before it is closed."""
        if self._transports.pop(sock.fileno(), None):
            self._epoll.unregister(sock)

    def close(self) -> None:
        """Watch nothing any more."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _happened(self) -> None:
        for descriptor, events in self._epoll.poll(0):
            transport = self._transports.get(descriptor)
            if transport is not None:  # one that was read before it in this turn may have closed it
                transport.happened(events)


class StampedTransport(asyncio.Transport):
    """Reads a socket of its own and tells how long each piece had been there.

    Args:
        loop: The running event loop.
        sock: Connected and non-blocking, with stamps.
        protocol: What is called back.
        note: Called with the nanoseconds that a piece waited, before it is handed over; None where it has no stamp, or
            where the clock was set meanwhile.
        watch: Who calls `happened`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol: asyncio.Protocol,
        note: Callable[[int | None], None],
        watch: StampedSockets,
    ) -> None:
        super().__init__({"socket": sock})
        self._loop, self._socket, self._protocol, self._note, self._watch = loop, sock, protocol, note, watch
        self._unsent = b""
        self._closed = False

    def happened(self, events: int) -> None:
        """Read or write, whatever the socket is ready for."""
        if events & select.EPOLLOUT:
            self._writable()
        if events & ~select.EPOLLOUT and not self._closed:
            self._readable()

    def _readable(self) -> None:
        try:
            size, notes, _, _ = self._socket.recvmsg_into((_BUFFER,), ANCILLARY_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error)
            return
        if not size:
            self._lost(None)
            return
        stamp = _stamp(notes)
        self._note(self._watch.clock.since(stamp) if stamp else None)
        self._protocol.data_received(bytes(_VIEW[:size]))

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Write at once what the socket takes, and the rest when it takes more."""
        if self._closed:
            return
        if not self._unsent:
            sent = 0
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._loop.call_soon(self._lost, error)
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._watch.watch_writes(self._socket, True)
        self._unsent += bytes(data)

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error)
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._watch.watch_writes(self._socket, False)

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._closed

    def close(self) -> None:
        """Close at once; nothing here is written later than it can be."""
        self.abort()

    def abort(self) -> None:
        """Close at once, and tell the protocol in the next turn of the loop, as other transports do."""
        if not self._closed:
            self._end()
            self._loop.call_soon(self._protocol.connection_lost, None)

    def _lost(self, error: OSError | None) -> None:
        if not self._closed:
            self._end()
            self._protocol.connection_lost(error)

    def _end(self) -> None:
        self._closed = True
        self._watch.forget(self._socket)
        self._socket.close()
