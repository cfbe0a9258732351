"""Granian's main process, which at SIGHUP has its workers take the newest version of the model.

Granian itself would answer SIGHUP with new workers: twice the memory, and the connections of the old ones are closed,
some of them under a request. A worker that exchanges its model keeps its connections.
"""

import argparse
import multiprocessing
import os
import signal
import sys
from types import FrameType

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.errors import FatalError


def tell_workers(signum: int, frame: FrameType | None) -> None:
    """Pass a signal on."""
    for worker in multiprocessing.active_children():
        if worker.pid is not None:
            os.kill(worker.pid, signum)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="flask_server.granian_main")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    server = Granian(
        "flask_server.rsgi:create_service",
        arguments.host,
        arguments.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        factory=True,
        workers=arguments.workers,
        loop=Loops.uvloop,
        respawn_failed_workers=True,  # by default the whole server ends when the first worker dies
        # A stop waits this long for requests; longer ones are lost. Docker waits for 10 s.
        workers_kill_timeout=8,
    )
    server.on_startup(lambda: signal.signal(signal.SIGHUP, tell_workers) and None)
    try:
        server.serve()
    except FatalError:
        sys.exit(1)


if __name__ == "__main__":
    main()
