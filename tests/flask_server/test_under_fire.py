"""The service when it is given too much to do, another model, or the order to stop."""

import contextlib
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loadtest.launch.local import LocalServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import request
from tests.flask_server.test_slow_bodies import answer, serving
from tests.one_connection import ask_until_refused

DEADLINE_S = 60.0


def until(condition: Callable[[], Any], what: str) -> None:
    """Polls until the condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture(scope="module")
def narrow(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """A server that answers one large request at a time and lets one wait."""
    limits = {"FLASK_SERVER_QUEUE": "1", "FLASK_SERVER_WORKERS": "1", "FLASK_SERVER_THREADS": "1"}
    server = servers["flask_server"]
    with serving(server, artifact, **limits) as running:
        yield running


def counted(running: LocalServer, name: str) -> int:
    """A number of the server's metrics."""
    page = request(running.host, running.ports["rest"], "/metrics").body.decode()
    return int(dict(line.rsplit(" ", 1) for line in page.splitlines())[f"flask_server_{name}"])


def test_beyond_the_queue_a_request_is_refused_with_503(narrow: LocalServer, artifact: Artifact) -> None:
    """Of many large requests at once some are answered, rightly, and all others refused with Retry-After."""
    instances = 2_000
    examples = artifact.golden.many(instances)
    (body,) = examples.bodies(instances)
    golden = examples.expectation(instances)
    statuses: set[int] = set()
    refused, before = 0, counted(narrow, 'requests_refused_total{reason="overload"}')
    deadline = time.monotonic() + DEADLINE_S
    while 503 not in statuses and time.monotonic() < deadline:  # a slow client may send one after the other
        together = threading.Barrier(12)

        def send(together: threading.Barrier = together) -> Any:
            together.wait()
            return narrow.predict(body, timeout_s=60)

        with ThreadPoolExecutor(12) as pool:
            answers = [one.result() for one in [pool.submit(send) for _ in range(12)]]
        statuses |= {reply.status for reply in answers}
        refused += sum(reply.status == 503 for reply in answers)
        for reply in answers:
            if reply.status == 200:
                assert golden.matches(0, reply.body)
            else:
                assert reply.status == 503, reply
                assert reply.headers["retry-after"] == "1"
                assert reply.json == {"error": "too many requests at once: try again"}
    assert statuses == {200, 503}
    assert request(narrow.host, narrow.ports["rest"], "/healthz").status == 200
    assert counted(narrow, 'requests_refused_total{reason="overload"}') == refused + before


def test_a_refusal_leaves_its_connection_open(narrow: LocalServer, artifact: Artifact) -> None:
    """Of small requests at once some are refused, each is counted, and every connection is as good as before."""
    refusals, before = 0, counted(narrow, 'requests_refused_total{reason="overload"}')
    body = artifact.example_body()
    post = f"POST {narrow.predict_path} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
    whole = f"{post}Content-Length: {len(body)}\r\n\r\n".encode() + body
    health = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
    golden, deadline = artifact.expectation(), time.monotonic() + DEADLINE_S
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((narrow.host, narrow.ports["rest"]), timeout=DEADLINE_S))
            for _ in range(16)
        ]
        while not refusals:  # they may come so far apart that each finds the server idle
            assert time.monotonic() < deadline
            for connection in connections:
                connection.sendall(whole)
            for response, content in map(answer, connections):
                if response.status == 200:
                    assert golden.matches(0, content)
                    continue
                assert (response.status, response.headers["Retry-After"]) == (503, "1")
                assert response.headers["Connection"] is None
                assert json.loads(content) == {"error": "too many requests at once: try again"}
                refusals += 1
        for connection in connections:
            connection.sendall(health)
            assert answer(connection)[0].status == 200
    assert counted(narrow, 'requests_refused_total{reason="overload"}') == refusals + before
    assert counted(narrow, "requests_in_flight") == 1  # the one that asks


@pytest.fixture
def versions(artifact: Artifact, tmp_path: Path) -> Path:
    """A folder that holds version 1 of the model."""
    shutil.copytree(artifact.folder, tmp_path / "digits" / "1")
    return tmp_path / "digits"


def lay_beside(versions: Path, number: int, change: Callable[[Path], None] = lambda folder: None) -> Path:
    """Lays a copy of version 1 under another number beside it, at once and whole."""
    draft = versions.with_name("draft")
    shutil.copytree(versions / "1", draft)
    manifest = json.loads((draft / "manifest.json").read_text())
    (draft / "manifest.json").write_text(json.dumps(manifest | {"version": number}))
    change(draft)
    return draft.rename(versions / str(number))


def served(running: LocalServer) -> int:
    """Which version one of the workers says that it serves; one that still loads its first is asked again."""
    return int(running.told(running.server.effective["model"]).json["version"])


def all_serve(running: LocalServer, number: int) -> Callable[[], bool]:
    """Whether every one of many connections, which the workers share, is told this version."""
    return lambda: {served(running) for _ in range(12)} == {number}


def test_sighup_takes_the_newest_sound_version(
    versions: Path, artifact: Artifact, servers: Mapping[str, Server]
) -> None:
    """Each worker exchanges its model, goes back when it is gone, and keeps the one it has when the other is broken."""
    with serving(servers["flask_server"], artifact, FLASK_SERVER_ARTIFACT=str(versions)) as running:
        assert served(running) == 1
        second = lay_beside(versions, 2)
        running.send_signal("SIGHUP")
        until(all_serve(running, 2), "version 2 is served")
        second.rename(versions / "gone")
        running.send_signal("SIGHUP")
        until(all_serve(running, 1), "version 1 is served again")

        def damage(folder: Path) -> None:
            with (folder / "torch" / "weights.safetensors").open("r+b") as file:
                file.write(b"damage")

        lay_beside(versions, 3, damage)
        running.send_signal("SIGHUP")
        until(lambda: "version 3 is passed over" in running.log_tail(40), "the log names the broken version")
        assert all_serve(running, 1)()
        assert running.is_right(running.predict_example())


def test_a_version_whose_answers_are_of_another_shape_is_not_served(
    versions: Path, artifact: Artifact, servers: Mapping[str, Server]
) -> None:
    """What the manifest promises and the model does not keep is found before a request is answered with it."""
    with serving(servers["flask_server"], artifact, FLASK_SERVER_ARTIFACT=str(versions)) as running:

        def promise(folder: Path) -> None:
            manifest = json.loads((folder / "manifest.json").read_text())
            manifest["outputs"][0]["shape"] = [11]
            (folder / "manifest.json").write_text(json.dumps(manifest))

        lay_beside(versions, 2, promise)
        running.send_signal("SIGHUP")
        until(lambda: "of shape [11], the model has one of shape [10]" in running.log_tail(40), "the log says why")
        assert all_serve(running, 1)()


def test_sigterm_answers_every_request_that_was_taken(artifact: Artifact, servers: Mapping[str, Server]) -> None:
    """A client that asks without a pause gets an answer to each request, the last one with Connection: close."""
    with serving(servers["flask_server"], artifact) as running:
        port, path = running.ports["rest"], running.predict_path
        assert ask_until_refused(running.host, port, path, artifact, lambda: running.send_signal("SIGTERM"))
        until(lambda: running.ending(), "the server ends")
        assert running.ending() == "exit code 0"
