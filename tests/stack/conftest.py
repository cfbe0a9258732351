"""One stack of containers for the whole session, under a project name and ports of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.launch.compose import ComposeLauncher
from loadtest.launch.compose_project import ComposeProject
from tests.stack.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
BASE_IMAGE = "python:3.11-slim-bookworm"
FILES = f"compose.yaml{os.pathsep}compose.embedded.yaml"
PORTS = (
    "TF_SERVING_REST_PORT",
    "TF_SERVING_GRPC_PORT",
    "TORCHSERVE_REST_PORT",
    "TORCHSERVE_GRPC_PORT",
    "FLASK_SERVER_REST_PORT",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an Engine where there is none, saying why, and tear the stack down last."""
    ours = [item for item in items if item.get_closest_marker("stack") and Path(__file__).parent in item.path.parents]
    reason = unavailable() if ours else ""
    if reason:
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=reason))
    last = [item for item in ours if item.path.name == "test_teardown.py"]
    items[:] = [item for item in items if item not in last] + last


def unavailable() -> str:
    """Why no stack can be had here, or nothing."""
    if shutil.which("docker") is None:
        return "no Docker on this machine"
    for command, fault in (
        (["docker", "version"], "the Docker daemon does not answer"),
        (["docker", "compose", "version"], "Docker Compose v2 is not installed"),
    ):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return fault
    here = subprocess.run(["docker", "image", "inspect", BASE_IMAGE], capture_output=True, check=False)
    if here.returncode and subprocess.run(["docker", "pull", BASE_IMAGE], capture_output=True, check=False).returncode:
        return f"the base image {BASE_IMAGE} is neither here nor can it be pulled"
    return ""


def wheels() -> dict[str, str]:
    """The wheels context: pip's own folder of wheels, where it holds PyTorch's CPU build."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.find-links"],
        capture_output=True,
        text=True,
        check=False,
    )
    for folder in (*os.environ.get("PIP_FIND_LINKS", "").split(), *asked.stdout.split()):
        if any(Path(folder).glob("torch-*+cpu-*.whl")):
            return {"WHEELS": folder}
    return {}


def _free_ports() -> dict[str, str]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in PORTS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: str(one.getsockname()[1]) for name, one in zip(PORTS, sockets, strict=True)}


@pytest.fixture(scope="session")
def stack_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `docker compose` runs with: the embedded server, a project of its own, free ports."""
    return {
        **os.environ,
        **wheels(),
        **_free_ports(),
        "COMPOSE_FILE": FILES,
        "COMPOSE_PROJECT_NAME": f"bakeoff-test-{os.getpid()}",
        "RESULTS": str(tmp_path_factory.mktemp("results")),
        "LOADTEST_USER": f"{os.getuid()}:{os.getgid()}",
    }


@pytest.fixture(scope="session")
def stack(stack_environment: dict[str, str]) -> Iterator[Stack]:
    """The stack, built, up and healthy; at the end everything of it is removed, its images too."""
    stack = Stack(ROOT, stack_environment)
    try:
        stack.build()
        stack.compose("up", "--detach", "--wait", "--wait-timeout", "300")
        yield stack
    finally:
        stack.compose("--profile", "loadtest", "down", "--volumes", "--rmi", "local", "--timeout", "5", check=False)


@pytest.fixture
def launcher(stack: Stack) -> Iterator[ComposeLauncher]:
    """A compose launcher over the stack that is up, closed after the test."""
    launcher = ComposeLauncher("digits", ComposeProject(ROOT, stack.environment))
    try:
        yield launcher
    finally:
        launcher.close()
