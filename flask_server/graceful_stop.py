"""SIGTERM loses no request: no new connection is taken, and each open one is closed with an answer.

Granian itself closes connections between two requests at once, and a request that is on its way to one of them is lost.
"""

import asyncio
import os
import signal
import socket
from pathlib import Path

LINGER_S = 1.0
"""How long open connections are given to send their last request. Then granian stops: it finishes what it has begun and
closes the others, which have sent nothing for so long."""


class GracefulStop:
    """How a worker stops.

    Attributes:
        stopping: Whether it was told to; answers are then to carry ``Connection: close``.
    """

    def __init__(self) -> None:
        self.stopping = False

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Handle SIGTERM; granian goes on handling SIGINT, by which it is told to stop in the end."""

        def stop() -> None:
            if not self.stopping:
                self.stopping = True
                close_listeners()
                loop.call_later(LINGER_S, os.kill, os.getpid(), signal.SIGINT)

        loop.add_signal_handler(signal.SIGTERM, stop)


def close_listeners() -> None:
    """Stop listening, so that a new connection is refused and its client can turn to another server at once.

    The sockets are granian's, which offers no way to close them alone. Their descriptors stay open, on the null device,
    until granian closes them: their numbers must not become those of other files before.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    for name in Path("/dev/fd").iterdir():
        descriptor = int(name.name)
        if is_listener(descriptor):
            os.dup2(nothing, descriptor)
    os.close(nothing)


def is_listener(descriptor: int) -> bool:
    """Return whether a file descriptor of this process is a socket that listens."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as one:
            return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
