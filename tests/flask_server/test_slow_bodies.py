import contextlib
import http.client
import itertools
import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import pytest

from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import request

PREDICT = "/v1/models/digits:predict"
HALF = b'{"instances": [[['
LARGEST = 200_000


@contextlib.contextmanager
def serving(server: Server, artifact: Artifact, **env: str) -> Iterator[LocalServer]:
    """The server, with more in its environment."""
    launches = tuple(replace(one, env={**one.env, **env}) for one in server.launches)
    running = start_local(replace(server, launches=launches), artifact, UNPINNED, any_port=True)
    try:
        yield running
    finally:
        running.stop()


def limited(servers: Mapping[str, Server], artifact: Artifact, timeout_s: int) -> AbstractContextManager[LocalServer]:
    """A server with a small largest body, which has to be there within a time."""
    limits = {"FLASK_SERVER_MAX_CONTENT_LENGTH": str(LARGEST), "FLASK_SERVER_BODY_TIMEOUT": str(timeout_s)}
    return serving(servers["flask_server"], artifact, **limits)


@pytest.fixture(scope="module")
def server(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """The server as its server.toml starts it."""
    with serving(servers["flask_server"], artifact) as running:
        yield running


@pytest.fixture(scope="module")
def strict(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """A server whose largest body is small, and has to be there within a second."""
    with limited(servers, artifact, timeout_s=1) as running:
        yield running


@pytest.fixture(scope="module")
def narrow(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """A server whose largest body is small, and has ten minutes to arrive."""
    with limited(servers, artifact, timeout_s=600) as running:
        yield running


def send(server: LocalServer, start: bytes, *headers: str, path: str = PREDICT) -> socket.socket:
    """Opens a connection, sends the head of a POST and the start of its body, and leaves it at that."""
    connection = socket.create_connection((server.host, server.ports["rest"]), timeout=60)
    head = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
    connection.sendall("\r\n".join(head).encode() + start)
    return connection


def answer(connection: socket.socket) -> tuple[http.client.HTTPResponse, bytes]:
    """Waits for the answer to what was sent so far."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response, response.read()


def assert_serves(server: LocalServer, artifact: Artifact) -> None:
    """The server is healthy and predicts rightly."""
    deadline = time.monotonic() + 60  # another worker than the one that was asked first may still be loading
    while request(server.host, server.ports["rest"], "/healthz", timeout_s=30).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    reply = server.predict(artifact.bodies()[0], timeout_s=30)
    assert artifact.expectation().matches(0, reply.body), reply


CHUNKED = b"%x\r\n%s\r\n" % (len(HALF), HALF)


@pytest.mark.parametrize(
    ("start", "header", "path"),
    [
        (HALF, "Content-Length: 600", PREDICT),
        (HALF, f"Content-Length: {20_000_000}", PREDICT),
        (CHUNKED, "Transfer-Encoding: chunked", PREDICT),
        (HALF, "Content-Length: 600", "/nowhere"),
        (CHUNKED, "Transfer-Encoding: chunked", "/nowhere"),
    ],
    ids=["short", "long", "chunked", "no such address", "no such address, chunked"],
)
def test_half_bodies_hold_nobody_up(
    server: LocalServer, artifact: Artifact, start: bytes, header: str, path: str
) -> None:
    """While many clients have sent half of a body, others are answered."""
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(send(server, start, header, path=path))
        for _ in range(20):
            assert_serves(server, artifact)


def test_body_that_comes_in_pieces_is_answered(server: LocalServer, artifact: Artifact) -> None:
    """A body whose parts come one by one, of declared length or in chunks, gets its right answer."""
    body = artifact.bodies(16)[0]
    parts = [body[i : i + 500] for i in range(0, len(body), 500)]
    for header, framed in [
        (f"Content-Length: {len(body)}", parts),
        ("Transfer-Encoding: chunked", [*(b"%x\r\n%s\r\n" % (len(part), part) for part in parts), b"0\r\n\r\n"]),
    ]:
        with send(server, b"", header) as connection:
            for part in framed:
                connection.sendall(part)
            response, got = answer(connection)
        assert response.status == 200
        assert artifact.expectation(16).matches(0, got)


def test_body_that_does_not_arrive_is_a_408(strict: LocalServer, artifact: Artifact) -> None:
    """When its time is over, half a body is answered with a 408 in JSON and the connection is closed."""
    for start, header in [(HALF, "Content-Length: 600"), (CHUNKED, "Transfer-Encoding: chunked")]:
        with send(strict, start, header) as connection:
            response, body = answer(connection)
            assert (response.status, response.headers["Content-Type"]) == (408, "application/json")
            assert json.loads(body) == {"error": "the body did not arrive within 1 s"}
            assert connection.recv(1) == b""
    assert_serves(strict, artifact)


def test_body_over_the_limit_is_a_413(narrow: LocalServer, artifact: Artifact) -> None:
    """One byte beyond the limit is refused, with and without a declared length; the limit itself is not."""
    body = artifact.bodies()[0]
    for size, status in [(LARGEST, 200), (LARGEST + 1, 413)]:
        padded = body.ljust(size)
        with send(narrow, padded, f"Content-Length: {size}") as connection:
            assert answer(connection)[0].status == status
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (size, padded)
        with send(narrow, chunked, "Transfer-Encoding: chunked") as connection:
            assert answer(connection)[0].status == status
        for headers in itertools.permutations(["Content-Length: 5", "Transfer-Encoding: chunked"]):
            with send(narrow, chunked, *headers) as connection:
                assert answer(connection)[0].status in (status, 400)


def test_what_cannot_be_read_to_its_end_is_refused_at_once(narrow: LocalServer, artifact: Artifact) -> None:
    """A length beyond all reading is a 413 and an unknown coding a 501, before a body has come."""
    for header, status in [("Content-Length: 9223372036854775808", 413), ("Transfer-Encoding: gzip, chunked", 501)]:
        with send(narrow, b"", header) as connection:
            response, body = answer(connection)
            assert (response.status, response.headers["Content-Type"]) == (status, "application/json")
            assert len(json.loads(body)["error"]) > 10
            assert connection.recv(1) == b""
    assert_serves(narrow, artifact)


def test_large_bodies_have_a_bounded_room(narrow: LocalServer, artifact: Artifact) -> None:
    """When half bodies fill the room for large ones, a large request is a 503, and a small one is answered."""
    padded = artifact.bodies()[0].ljust(LARGEST)
    length = f"Content-Length: {LARGEST}"
    with contextlib.ExitStack() as stack:
        for _ in range(100):  # one that came between them may have been answered, and one of them refused
            stack.enter_context(send(narrow, padded[:-1], length))
            with send(narrow, padded, length) as connection:
                response, body = answer(connection)
            if response.status == 503:
                break
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert "too many large bodies" in json.loads(body)["error"]
        assert_serves(narrow, artifact)
    for _ in range(600):  # until the server has seen that they are gone
        with send(narrow, padded, length) as connection:
            status = answer(connection)[0].status
        if status == 200:
            break
        time.sleep(0.05)
    assert status == 200


def test_clients_that_leave_in_the_middle_of_a_body(server: LocalServer, artifact: Artifact) -> None:
    """Connections that end before their body does leave nothing behind."""
    for header in ("Content-Length: 600", "Content-Length: 20000000", "Transfer-Encoding: chunked"):
        for _ in range(50):
            send(server, CHUNKED, header).close()
    assert_serves(server, artifact)


def test_largest_number_of_instances(server: LocalServer, artifact: Artifact) -> None:
    """As many instances as the artifact allows are answered, and one more is a 400 that says so."""
    most = int(artifact.manifest["max_instances"])
    instances = np.zeros((most + 1, 8, 8), int).tolist()
    reply = server.predict(json.dumps({"instances": instances[1:]}, separators=(",", ":")).encode(), timeout_s=60)
    assert reply.status == 200
    assert len(reply.json["predictions"]) == most
    reply = server.predict(json.dumps({"instances": instances}, separators=(",", ":")).encode(), timeout_s=60)
    assert reply.status == 400
    assert reply.json == {"error": f"{most + 1} instances in one request; the limit is {most}"}
