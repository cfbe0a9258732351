"""A prediction server that leaks on demand: leaking_server.py PORT ARTIFACT MARKER.

It knows the answers to all inputs of the artifact by heart, and answers rightly. As soon as the file MARKER exists, it
keeps `LEAK_KIB` for every `EVERY` predictions, and a descriptor and a thread with them at a time; every `WRONG`th
prediction is wrong then, and in place of every `DROPPED`th the connection ends.
"""

import asyncio
import json
import os
import sys
import threading
from pathlib import Path

from loadtest.servers.artifact import load_artifact

EVERY, LEAK_KIB = 100, 200
WRONG, DROPPED = 1_000, 1_500


class Connection(asyncio.Protocol):
    """One connection; a request comes in as many pieces as it likes, and one at a time."""

    leaked: list[object] = []  # noqa: RUF012  # of all connections together, on purpose
    predictions = 0

    def __init__(self, answers: dict[bytes, bytes], marker: Path) -> None:
        self._answers, self._marker = answers, marker
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if not end or len(body) < length:
            return
        self._read = b""
        if head.startswith(b"GET"):
            self._transport.write(http(b"yes"))
        else:
            self._predict(self._answers[body])

    def _predict(self, answer: bytes) -> None:
        if self._marker.exists():
            Connection.predictions += 1
            count = Connection.predictions
            if count % EVERY == 0:
                self.leaked.append((b"x" * (LEAK_KIB * 1024), os.dup(0)))
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            if count % DROPPED == 0:
                self._transport.close()
                return
            if count % WRONG == 0:
                answer = http(b'{"predictions": [[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]]}')
        self._transport.write(answer)


def http(body: bytes) -> bytes:
    """An answer with a length."""
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


async def main(port: int, artifact: Path, marker: Path) -> None:
    """Serve until it is ended."""
    found = load_artifact("digits", artifact.parent.parent)
    answers: dict[bytes, bytes] = {}
    for examples in (found.golden, found.load):
        (outputs,) = examples.outputs.values()
        right = [http(json.dumps({"predictions": [row]}).encode()) for row in outputs.tolist()]
        answers.update(zip(examples.bodies(), right, strict=True))
    server = await asyncio.get_running_loop().create_server(lambda: Connection(answers, marker), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
