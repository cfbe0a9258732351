"""A server that does nothing but answer: what is left to measure is the client."""

import argparse
import asyncio
import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

from loadtest.errors import LaunchError
from loadtest.machine.ending import with_parent
from loadtest.machine.placement import Placement, running_on

BODY = b'{"predictions": [[0.1,0.9]]}\n'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
END_OF_HEAD = b"\r\n\r\n"


class _Protocol(asyncio.Protocol):
    """Answers every request without a body, as fast as Python can."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember how to write to it."""
        self._write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        """Answer each head that ends in these bytes."""
        self._write(ANSWER * data.count(END_OF_HEAD))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Protocol, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextlib.contextmanager
def null_server(placement: Placement) -> Iterator[str]:
    """Run the server in a process of its own, on the server's cores.

    Yields:
        Its address.

    Raises:
        LaunchError: If it does not come up.
    """
    with running_on(placement.server):
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest.wire.null_server"],
            stdout=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=with_parent(),
        )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 30)
        line = process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            raise LaunchError("the null server did not come up within 30 s")
        yield f"http://127.0.0.1:{int(line)}/"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    import uvloop

    argparse.ArgumentParser(description=__doc__).parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve())
