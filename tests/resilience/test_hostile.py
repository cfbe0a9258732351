"""Hostile requests: what the tables hold, how answers are judged, and what the servers of this project make of them."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from loadtest.errors import LoadtestError, UsageError
from loadtest.launch.attached import AttachedServer
from loadtest.launch.local import start_local
from loadtest.machine.placement import UNPINNED
from loadtest.records import from_json, to_json
from loadtest.resilience.hostile import request as outcomes
from loadtest.resilience.hostile.conversation import converse
from loadtest.resilience.hostile.grpc_listener import MARK, GrpcListener
from loadtest.resilience.hostile.http_listener import HttpListener
from loadtest.resilience.hostile.judgement import judge, keeps_rules
from loadtest.resilience.hostile.request import HalfClose, HostileRequest, Paced, Part, whole
from loadtest.resilience.hostile.result import HostileResult
from loadtest.resilience.hostile.run import run_hostile
from loadtest.resilience.hostile.table import hostile_table
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.grpc import http2
from tests.launch.conftest import Obedient, obedient

__all__ = ["obedient"]

ENOUGH = 80
SPOKEN = [
    ("tf_serving", "grpc"),
    ("torchserve", "grpc"),
    *((key, "http") for key in ("flask_server", "tf_serving", "torchserve")),
]


def attached(server: Server, artifact: Artifact) -> AttachedServer:
    """A server that is not asked anything."""
    return AttachedServer(server, artifact, server.label, "127.0.0.1", dict(server.ports))


@pytest.mark.parametrize(("key", "wire"), SPOKEN)
def test_tables_are_large_and_of_whole_cloth(
    servers: Mapping[str, Server], artifact: Artifact, key: str, wire: str
) -> None:
    """At least 80 requests for each server and wire, each of its own name, each of which can be made."""
    running = attached(servers[key], artifact)
    table = hostile_table(running, wire)
    assert len(table) >= ENOUGH
    assert len({(one.category, one.name) for one in table}) == len(table)
    for one in table:
        assert next(iter(one.parts()), None) is not None, one.name
        assert one.why or not one.accepts, one.name
    part = hostile_table(running, wire, quick=True)
    assert {one.category for one in part} == {one.category for one in table if not one.is_slow}
    assert len(part) < len(table) / 2


@pytest.mark.parametrize(("key", "wire"), SPOKEN)
def test_tables_are_made_from_any_model(servers: Mapping[str, Server], key: str, wire: str) -> None:
    """A model of several inputs, that vary in length, has its table too."""
    try:
        minilm = load_artifact("minilm")
    except LoadtestError as error:
        pytest.skip(str(error))
    table = hostile_table(attached(servers[key], minilm), wire)
    assert len(table) >= ENOUGH
    small = [part for one in table[:60] for part in one.parts()]
    contents = [part.content if isinstance(part, Paced) else part for part in small]
    assert any(b"attention_mask" in one for one in contents if isinstance(one, bytes))


def test_a_wire_that_is_not_spoken(servers: Mapping[str, Server], artifact: Artifact) -> None:
    """One line says what there is."""
    running = attached(servers["flask_server"], artifact)
    with pytest.raises(UsageError, match="does not speak grpc"):
        hostile_table(running, "grpc")
    with pytest.raises(UsageError, match="no wire 'smtp'"):
        hostile_table(running, "smtp")


@contextlib.contextmanager
def scripted(say: bytes, *, close: bool = False) -> Iterator[int]:
    """A server that reads, says this, and closes or stays; its port."""
    loop, ports = asyncio.new_event_loop(), list[int]()
    ready = threading.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(say)
        if close:
            writer.close()
        else:
            await reader.read()

    async def serve() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(serve())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    yield ports[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def answer(status: int, body: bytes, kind: bytes = b"application/json") -> bytes:
    """An HTTP answer."""
    return b"HTTP/1.1 %d x\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (status, kind, len(body), body)


REASON = b'{"error": "the body is not valid JSON"}'
TRACE = b'{"error": "Traceback (most recent call last):\\n File \\"app.py\\", line 3"}'
JAVA = b"oh no\n\tat org.pytorch.serve.Main(Main.java:33)\n"


@pytest.mark.parametrize(
    ("say", "close", "outcome"),
    [
        (answer(400, REASON), False, outcomes.REFUSED),
        (answer(404, b'{"code": 404, "message": "Model not found"}'), False, outcomes.REFUSED),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(400, REASON), False, outcomes.REFUSED),
        (answer(501, REASON), False, outcomes.REFUSED),
        (answer(400, b"Invalid HTTP request", b"text/plain"), False, outcomes.BARE),
        (answer(400, b'{"error": ""}'), False, outcomes.BARE),
        (answer(400, b""), False, outcomes.BARE),
        (answer(200, b"{}"), False, outcomes.ANSWERED),
        (answer(400, REASON) * 2, False, outcomes.EXTRA),
        (answer(500, REASON), False, outcomes.FAULT),
        (answer(503, REASON), False, outcomes.FAULT),
        (answer(400, TRACE), False, outcomes.TRACE),
        (answer(500, JAVA), False, outcomes.TRACE),
        (b"", True, outcomes.CLOSED),
        (answer(400, REASON)[:-5], True, outcomes.CLOSED),
        (b"", False, outcomes.NO_ANSWER),
    ],
)
def test_answers_are_judged(say: bytes, close: bool, outcome: str) -> None:
    """Each kind of an answer has its name, and only a refusal keeps the rules where nothing else is allowed."""
    request = HostileRequest("a test", "tests", whole(b"GET / HTTP/1.1\r\n\r\n"), patience_s=0.5, watches_s=0.1)
    with scripted(say, close=close) as port:
        reply = asyncio.run(converse("127.0.0.1", port, request, HttpListener()))
    assert judge(reply, request, grpc=False) == outcome
    assert keeps_rules(outcome, request) == (outcome == outcomes.REFUSED)


def test_a_client_that_leaves_was_waited_for() -> None:
    """Where the client leaves by its own plan, a server that says nothing has waited."""
    parts: list[Part] = [b"GET / HTTP/1.1\r\n", 0.1, HalfClose()]
    request = HostileRequest("a test", "tests", lambda: parts, leaves=True)
    with scripted(b"") as port:
        reply = asyncio.run(converse("127.0.0.1", port, request, HttpListener()))
    assert judge(reply, request, grpc=False) == outcomes.WAITED


def trailers(*fields: tuple[bytes, bytes]) -> bytes:
    """The only HEADERS frame of an answer."""
    block = http2.RequestFields.encode(b"", [(b":status", b"200"), *fields]).literal
    return http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 1, block[1:])


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (trailers((b"grpc-status", b"3"), (b"grpc-message", b"shape%20%5B1%5D")), outcomes.REFUSED),
        (trailers((b"grpc-status", b"3")), outcomes.BARE),
        (trailers((b"grpc-status", b"0")), outcomes.ANSWERED),
        (trailers((b"grpc-status", b"13"), (b"grpc-message", b"oh")), outcomes.FAULT),
        (trailers((b"grpc-status", b"3"), (b"grpc-message", b"x%0A\tat a.b.C(D.java:3)")), outcomes.TRACE),
        (http2.frame(http2.RST_STREAM, 0, 1, (8).to_bytes(4, "big")), outcomes.CLOSED),
        (http2.frame(http2.GOAWAY, 0, 0, bytes(4) + (11).to_bytes(4, "big") + b"too_many_pings"), outcomes.CLOSED),
        (http2.frame(http2.PING, http2.ACK, 0, MARK), outcomes.ANSWERED),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", outcomes.CLOSED),
    ],
)
def test_answers_over_grpc_are_judged(said: bytes, outcome: str) -> None:
    """Likewise: the status of a call, or how its stream or its connection ended."""
    listener = GrpcListener()
    listener.feed(said)
    assert listener.is_done(1)
    assert judge(listener.reply(""), HostileRequest("a test", "tests", whole(b"")), grpc=True) == outcome


def chosen(running: AttachedServer, names: set[str]) -> list[HostileRequest]:
    """A small table."""
    table = [one for one in hostile_table(running, "http") if one.name in names]
    assert {one.name for one in table} == names
    return table


def test_a_server_that_dies_is_started_again(obedient: Obedient, artifact: Artifact) -> None:
    """Its death is told, and the rest of the table is sent to the new one."""
    server = obedient("aborts:text")
    start = partial(start_local, server, artifact, UNPINNED, any_port=True)
    table = chosen(attached(server, artifact), {'"7" in the place of a value', "gzip", "an opening brace"})
    table[1] = HostileRequest("deadly", "tests", whole(b'POST /predict HTTP/1.1\r\nContent-Length: 3\r\n\r\n"x"'))
    running = start()
    try:
        result = run_hostile(running, "http", table, restart=start)
        with pytest.raises(LoadtestError, match="SIGABRT, after tests, deadly; nothing here can start it again"):
            run_hostile(start_again := start(), "http", table[1:2])
        start_again.stop()
    finally:
        running.stop()
    assert [one.outcome for one in result.answers].count(outcomes.DIED) == 1
    assert result.deaths == ("SIGABRT, after tests, deadly",)
    assert result.whole.right
    assert not result.own_code
    assert "died: SIGABRT, after tests, deadly" in result.failures
    assert from_json(to_json(result), HostileResult, "the result") == result


Hostile = Callable[..., None]


@pytest.mark.parametrize(("key", "wire"), [("tf_serving", "http"), ("tf_serving", "grpc")])
def test_code_of_this_project_keeps_its_rules(
    servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path, key: str, wire: str
) -> None:
    """A part of the table: each request ends as the rules ask, and the server is as it was before.

    `test_flask_under_fire` sends it to Flask.
    """
    running = start_local(servers[key], artifact, UNPINNED, any_port=True)
    try:
        result = run_hostile(running, wire, hostile_table(running, wire, quick=True))
    finally:
        running.stop()
    assert result.own_code
    assert result.failures == []
    assert result.whole.held is not None
    assert json.loads(to_json(result))["server"] == key
