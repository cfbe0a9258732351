"""A server whose main process is killed under load comes back by itself."""

import pytest

from loadtest.experiments.parity import check_parity
from loadtest.launch.compose import ComposeLauncher
from loadtest.launch.container import ContainerServer
from loadtest.servers.server_toml import load_servers
from tests.stack.stack import PATHS, SERVERS, Stack, await_that, under_load

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@pytest.mark.parametrize("service", SERVERS)
def test_a_killed_server_returns(stack: Stack, launcher: ComposeLauncher, service: str) -> None:
    """Requests fail while it is away, are answered again without a hand's turn, and the answers are the golden ones."""
    before = stack.container(service)
    body = launcher.artifact.bodies()[0]
    with under_load(stack.port(service), PATHS[service], body) as load:
        await_that("answers under load", lambda: load.answered > 20)
        stack.compose("exec", "-T", service, "bash", "-c", "kill -KILL $(cat /proc/1/task/1/children)", check=False)
        await_that("failures after the kill", lambda: load.failed > 0)
        answered = load.answered
        await_that("answers after the restart", lambda: load.answered > answered + 20)
    after = stack.container(service)
    assert after.id == before.id
    assert after.attrs["RestartCount"] == before.attrs["RestartCount"] + 1
    assert after.attrs["State"]["StartedAt"] > before.attrs["State"]["StartedAt"]
    running = launcher.find(load_servers()[service])
    assert isinstance(running, ContainerServer)
    assert check_parity(running, launcher.artifact, running.server.wires).agrees
    await_that("health", lambda: stack.container(service).attrs["State"]["Health"]["Status"] == "healthy")
