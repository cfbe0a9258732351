"""A server that answers in any way asked for, in a process of its own, and counts what it saw.

`python programmable.py` reads one JSON object a line from its standard input and answers each with one on its output:
``{"listen": "fixed", "options": {"delay_ms": 20}}`` gives ``{"port": …}``, and ``{"counts": port}`` the counts of that
port. It ends with its input, so that it never outlives who started it. `Programmable` is the other end of this.
"""

import asyncio
import contextlib
import inspect
import json
import random
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CERTIFICATE = Path(__file__).with_name("localhost.pem")
RIGHT = b'{"predictions": [[0.25, 0.75]]}'
WRONG = b'{"predictions": [[0.75, 0.25]]}'


def http(body: bytes = RIGHT, status: str = "200 OK", *fields: str) -> bytes:
    """An answer with a length."""
    lines = (f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *fields)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# -- ways to answer: each takes a connection on which a request has just been read


class Connection:
    """One accepted connection.

    Attributes:
        counts: What the port saw so far.
        memory: Whatever a way to answer wants to keep for its port.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: "Port") -> None:
        self.reader, self.writer = reader, writer
        self.counts, self.memory = port.counts, port.memory

    async def send(self, data: bytes) -> None:
        """Write and wait until the kernel has it."""
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        """End the connection in order, once what was written is sent."""
        self.writer.close()


async def fixed(connection: Connection, delay_ms: float = 0.0) -> None:
    """The right answer after the same delay each time."""
    if delay_ms:
        await asyncio.sleep(delay_ms / 1e3)
    await connection.send(http())


async def exponential(connection: Connection, mean_ms: float, seed: int = 1) -> None:
    """The right answer after an exponential delay."""
    lots = connection.memory.setdefault("lots", random.Random(seed))
    await asyncio.sleep(lots.expovariate(1e3 / mean_ms))
    await connection.send(http())


async def stalling(connection: Connection, after_s: float, length_s: float) -> None:
    """The right answer at once, but nothing during one stall that begins some time after the first request."""
    now = time.monotonic()
    begin = connection.memory.setdefault("first", now) + after_s
    if begin <= now < begin + length_s:
        await asyncio.sleep(begin + length_s - now)
    await connection.send(http())


async def never(connection: Connection) -> None:
    """No answer."""


async def status(connection: Connection, line: str, *fields: str) -> None:
    """The right body under another status."""
    await connection.send(http(RIGHT, line, "location: /elsewhere"))


async def wrong(connection: Connection, every: int = 1) -> None:
    """Every so many answers are wrong."""
    is_wrong = connection.counts["requests"] % every == 0
    connection.counts["wrong"] += is_wrong
    await connection.send(http(WRONG if is_wrong else RIGHT))


async def chunked(connection: Connection) -> None:
    """The right answer in chunks, sent in pieces."""
    await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for start in range(0, len(RIGHT), 10):
        piece = RIGHT[start : start + 10]
        await connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await asyncio.sleep(0)
    await connection.send(b"0\r\n\r\n")


async def until_close(connection: Connection) -> None:
    """The body ends with the connection, as in HTTP/1.0."""
    await connection.send(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + RIGHT)
    connection.close()


async def close_each(connection: Connection) -> None:
    """A connection for every request."""
    await connection.send(http(RIGHT, "200 OK", "connection: close"))
    connection.close()


async def half_closing(connection: Connection) -> None:
    """The right answer, after which this side sends no more though it goes on reading."""
    await connection.send(http())
    connection.writer.write_eof()
    connection.counts["unheard"] += len(await connection.reader.read()) > 0


async def half_closing_unanswered(connection: Connection) -> None:
    """No answer, and this side says that it will send none."""
    connection.writer.write_eof()
    await connection.reader.read()


async def truncated(connection: Connection) -> None:
    """A part of the body, and the end of the connection."""
    await connection.send(http()[:-5])
    connection.close()


async def truncated_head(connection: Connection) -> None:
    """A part of the head, and the end of the connection."""
    await connection.send(http()[:20])
    connection.close()


async def endless(connection: Connection) -> None:
    """A body that has no end."""
    await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    chunk = b"40000\r\n" + bytes(0x40000) + b"\r\n"
    with contextlib.suppress(ConnectionError):
        while not connection.writer.is_closing():
            await connection.send(chunk)


async def surplus(connection: Connection) -> None:
    """The right answer, and in the same write another one that nobody asked for."""
    await connection.send(http() + http(WRONG, "500 Internal Server Error"))


async def surplus_part(connection: Connection) -> None:
    """The right answer, and in the same write the beginning of another one."""
    await connection.send(http() + http(WRONG)[:30])


async def surplus_garbage(connection: Connection) -> None:
    """The right answer, and in the same write what is no HTTP."""
    await connection.send(http() + b"\0\0\0 and so on")


async def interim(connection: Connection) -> None:
    """Two interim answers, then the right one."""
    await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await asyncio.sleep(0.002)
    await connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n" + http())


async def switching(connection: Connection) -> None:
    """A change of protocol that nobody asked for."""
    await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\nother")


async def garbage(connection: Connection) -> None:
    """What is no HTTP."""
    await connection.send(b"\x16\x03\x01 no HTTP at all\r\n\r\n")


async def byte_by_byte(connection: Connection) -> None:
    """The right answer, a write for each byte."""
    for byte in http():
        await connection.send(bytes([byte]))
        await asyncio.sleep(0)


async def dripping(connection: Connection, pause_ms: float) -> None:
    """The right answer, one byte after the other with a pause before each."""
    for byte in http():
        await asyncio.sleep(pause_ms / 1e3)
        await connection.send(bytes([byte]))


async def dated(connection: Connection) -> None:
    """The right answer with the time in its head, as most servers have it; here a new one each tenth of a second."""
    await connection.send(http(RIGHT, "200 OK", f"date: {int(time.time() * 10)}"))


async def echo(connection: Connection) -> None:
    """The body of the request, sent back."""
    await connection.send(http(connection.memory["body"]))


async def caching(connection: Connection, delay_ms: float) -> None:
    """The right answer: at once to a body that it has answered before, after a delay to any other."""
    body, seen = connection.memory["body"], connection.memory.setdefault("seen", set())
    if body not in seen:
        await asyncio.sleep(delay_ms / 1e3)
        seen.add(body)
        connection.counts["different"] = len(seen)
    await connection.send(http())


async def forgetful(connection: Connection, delay_ms: float = 0.0) -> None:
    """The right answer after a delay, and a note of how many different bodies came."""
    seen = connection.memory.setdefault("seen", set())
    seen.add(connection.memory["body"])
    connection.counts["different"] = len(seen)
    await asyncio.sleep(delay_ms / 1e3)
    await connection.send(http())


async def needing(connection: Connection, field: str, value: str | None) -> None:
    """The right answer to a request whose head has this field with this value; 401 to any other."""
    good = connection.memory["fields"].get(field) == value
    await connection.send(http(RIGHT, "200 OK" if good else "401 Unauthorized"))


async def unsolicited(connection: Connection, pause_ms: float = 20.0) -> None:
    """The right answer, and a moment later, on the idle connection, one that nobody asked for."""
    await connection.send(http())
    await asyncio.sleep(pause_ms / 1e3)
    await connection.send(http(WRONG, "408 Request Timeout", "connection: close"))
    connection.close()


WAYS: dict[str, Callable[..., Awaitable[None]]] = {
    name: value for name, value in list(globals().items()) if inspect.iscoroutinefunction(value)
}


# -- the server


class Port:
    """One listening port that answers in one way."""

    def __init__(self, way: str, options: dict[str, Any], manner: str) -> None:
        self.counts: Counter[str] = Counter()
        self.memory: dict[str, Any] = {}
        self._way, self._options, self._manner = WAYS[way], options, manner

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests one by one and answer each."""
        connection = Connection(reader, writer, self)
        self.counts["connections"] += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, TimeoutError):
            if self._manner == "closing at once":
                return writer.close()
            if self._manner == "greeting":
                await connection.send(http())
            patience = None
            while True:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), patience)
                lines = head.decode("latin-1").split("\r\n")[1:-2]
                self.memory["fields"] = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                self.memory["body"] = await self._read(reader, int(self.memory["fields"].get("content-length", 0)))
                self.counts["requests"] += 1
                await self._way(connection, **self._options)
                self.counts["answers"] += 1
                if self._manner == "impatient":
                    patience = 0.2
        writer.close()
        return None

    async def _read(self, reader: asyncio.StreamReader, left: int) -> bytes:
        if self._manner != "slow reading":
            return await reader.readexactly(left)
        body = b""
        while len(body) < left:
            body += await reader.read(min(left - len(body), 4_096))
            await asyncio.sleep(0.001)
        return body


async def _main() -> None:
    ports: dict[int, Port] = {}
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        command = json.loads(line)
        answer: Any
        if "listen" in command:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if command["tls"] else None
            if tls:
                tls.load_cert_chain(CERTIFICATE)
            port = Port(command["listen"], command["options"], command["manner"])
            server = await asyncio.start_server(port.accept, "127.0.0.1", 0, ssl=tls, limit=8_192)
            number = server.sockets[0].getsockname()[1]
            ports[number] = port
            answer = number
        else:
            answer = ports[command["counts"]].counts
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


# -- the other end


@dataclass(frozen=True)
class Listening:
    """A port of a programmable server."""

    server: "Programmable"
    port: int
    tls: bool

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/predict"

    @property
    def counts(self) -> "Counter[str]":
        """What it saw so far: connections, requests, answers, wrong."""
        return Counter(self.server.ask({"counts": self.port}))


class Programmable:
    """A running programmable server."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, command: dict[str, Any]) -> Any:
        """Send one command and return the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def listen(self, way: str, *, tls: bool = False, manner: str = "", **options: Any) -> Listening:
        """Open a port that answers in one of the ways above.

        Args:
            way: Name of the way.
            tls: Whether to speak TLS.
            manner: ``closing at once``, ``greeting``, ``slow reading``, ``impatient`` (closes what is idle after an
                answer) or nothing.
            options: Arguments of the way.
        """
        return Listening(self, self.ask({"listen": way, "tls": tls, "manner": manner, "options": options}), tls)

    def kill(self) -> None:
        """End the server in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_main())
