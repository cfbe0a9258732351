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
from collections.abc import Callable
from typing import Any

SO_TIMESTAMPING = 37
RX_SOFTWARE = 1 << 3
SOFTWARE = 1 << 4
_SECONDS_AND_NANOSECONDS = struct.Struct("=qq")
READ_SIZE = 16 * 1024
"""Small, since Python makes room for all of it at each read, which takes more time than to read twice."""
ANCILLARY_SIZE = 256

AVAILABLE = sys.platform == "linux" and struct.calcsize("P") == 8


class StampedTransport(asyncio.Transport):
    """Reads a socket of its own and tells how long each piece had been there.

    Args:
        loop: The running event loop.
        sock: Connected and non-blocking, made by `connect_stamped`.
        protocol: What is called back.
        note: Called with the nanoseconds that a piece waited, before the piece is handed over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol: asyncio.Protocol,
        note: Callable[[int], None],
    ) -> None:
        super().__init__({"socket": sock})
        self._loop, self._socket, self._protocol, self._note = loop, sock, protocol, note
        self._unsent = b""
        self._closed = False
        # The loop watches an epoll that watches the socket: uvloop forgets a reader whose connection is reset.
        self._epoll = select.epoll()
        self._epoll.register(sock, select.EPOLLIN)
        loop.add_reader(self._epoll.fileno(), self._happened)
        protocol.connection_made(self)

    def _happened(self) -> None:
        # What happened is not asked, which would take longer than to try.
        if self._unsent:
            self._writable()
        if not self._closed:
            self._readable()

    def _readable(self) -> None:
        try:
            data, notes, _, _ = self._socket.recvmsg(READ_SIZE, ANCILLARY_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error)
            return
        if not data:
            self._lost(None)
            return
        for level, kind, content in notes:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING:
                seconds, nanoseconds = _SECONDS_AND_NANOSECONDS.unpack_from(content)
                if seconds:
                    self._note(time.time_ns() - seconds * 1_000_000_000 - nanoseconds)
        self._protocol.data_received(data)

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
            self._epoll.modify(self._socket, select.EPOLLIN | select.EPOLLOUT)
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
            self._epoll.modify(self._socket, select.EPOLLIN)

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
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._socket.close()


async def connect_stamped(
    loop: asyncio.AbstractEventLoop,
    address: str,
    port: int,
    protocol: asyncio.Protocol,
    note: Callable[[int], None],
) -> None:
    """Connect, with the kernel's time stamps on.

    Args:
        loop: The running event loop.
        address: Resolved, of IPv4 or IPv6.
        port: TCP port.
        protocol: What is called back.
        note: See `StampedTransport`.

    Raises:
        OSError: If the connection cannot be made, or the kernel gives no time stamps.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | SOFTWARE)
        await loop.sock_connect(sock, (address, port))
    except BaseException:
        with contextlib.suppress(OSError):
            sock.close()
        raise
    StampedTransport(loop, sock, protocol, note)
