"""How a server in a container ended, which the Engine's restart of it would hide."""

from collections.abc import Iterator

import docker
import pytest
from docker.models.containers import Container

from loadtest.launch.container import ContainerServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_toml import load_servers
from loadtest.wire.single_request import request
from tests.stack.conftest import BASE_IMAGE
from tests.stack.stack import await_that

pytestmark = [pytest.mark.stack, pytest.mark.slow]

FRAIL = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        os.abort()
http.server.HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


@pytest.fixture
def frail() -> Iterator[Container]:
    """A container whose server is ended by any POST, and that the Engine starts again."""
    container = docker.from_env().containers.run(
        BASE_IMAGE, ["python", "-c", FRAIL], detach=True, init=True, restart_policy={"Name": "always"}
    )
    yield container
    container.remove(force=True)


def test_an_end_is_seen_although_the_container_runs_again(frail: Container, artifact: Artifact) -> None:
    """The signal is named, as for a process of this machine; until then there is no end."""
    running = ContainerServer(load_servers()["flask_server"], artifact, frail, published=False)
    await_that("the server listens", lambda: request(running.host, 8000, "/").status != 0)
    assert running.ending() == ""
    assert request(running.host, 8000, "/", b"{}").status == 0
    await_that("it ends", lambda: bool(running.ending()))
    await_that("it listens again", lambda: request(running.host, 8000, "/").status != 0)
    assert frail.attrs["State"]["Status"] in ("running", "restarting")
    assert running.ending() == "SIGABRT"
