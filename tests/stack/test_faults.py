"""Where there is no usable Docker: one line that says what to do. No Engine is needed for these."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.errors import LaunchError, UsageError
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.launch.compose_project import ComposeProject
from loadtest.launch.docker_faults import explain
from loadtest.launch.network import NetworkLauncher
from loadtest.machine.placement import UNPINNED
from loadtest.report.difference import difference
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_toml import load_servers

ROOT = Path(__file__).resolve().parents[2]


def _program(folder: Path, script: str) -> dict[str, str]:
    """An environment whose only program is a docker that behaves as told."""
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_no_docker_at_all(tmp_path: Path) -> None:
    """The command line says it in one line, names the launcher that needs none, and shows no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "check", "--launcher", "compose"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: Docker is not installed")
    assert "--launcher local" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_any_port_is_for_local_processes() -> None:
    """Under compose the ports come from .env, and an option that would do nothing is refused."""
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "check", "--launcher", "compose", "--any-port"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "--any-port is for --launcher local" in done.stderr


def test_a_stack_that_is_not_up(artifact: Artifact) -> None:
    """From a container that cannot start servers, the message names the command that can."""
    launcher = NetworkLauncher(artifact, UNPINNED, {}, timeout_s=0.1)
    with pytest.raises(LaunchError, match=r"(?s)did not answer a prediction.*docker compose up --wait"):
        launcher.start(load_servers()["flask_server"])


def test_a_daemon_that_is_down() -> None:
    """A socket that nobody listens on is a daemon to be started."""
    with pytest.raises(LaunchError, match=r"the Docker daemon does not answer: start|is not installed"):
        ComposeProject(ROOT, {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"})


def test_compose_v1(tmp_path: Path) -> None:
    """Where `docker compose` is unknown, the package to install is named."""
    environment = _program(tmp_path, "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1")
    with pytest.raises(LaunchError, match=r"Compose v2 is needed.*docker-compose-plugin"):
        ComposeProject(ROOT, environment)


def test_a_compose_that_is_too_old(tmp_path: Path) -> None:
    """A version that cannot read the compose files is named with the one that can."""
    with pytest.raises(LaunchError, match=r"Docker Compose 2\.17\.3 is too old .* 2\.24 or newer"):
        ComposeProject(ROOT, _program(tmp_path, "echo 2.17.3"))


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("permission denied while trying to connect to the Docker daemon socket", "add it to the group docker"),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "start Docker Desktop"),
        ("Bind for 127.0.0.1:8501 failed: port is already allocated", "port 8501 is in use"),
        ("listen tcp4 127.0.0.1:8000: bind: address already in use", "port 8000 is in use"),
        ("pull access denied for some/thing, repository does not exist", "compose.embedded.yaml"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "compose.embedded.yaml"),
        ('Get "https://example.org/v2/": dial tcp: lookup example.org: no such host', "docker load"),
        ('failed to solve: process "/bin/sh -c pip" did not complete', "docs/compose.md"),
        ("write /x: no space left on device", "docker system df"),
        ("Requested CPUs are not available - requested 7, available: 0-1", "SERVER_CPUSET"),
    ],
)
def test_known_failures_have_a_remedy(said: str, remedy: str) -> None:
    """What Docker says is kept, and what to do stands before it."""
    explained = explain(f"some line\n{said}", "docker compose up")
    assert remedy in explained
    assert said in explained
    assert "\n" not in explained


def test_unknown_failures_are_shown_as_they_are() -> None:
    """Where no remedy is known, the last lines speak for themselves."""
    explained = explain("one\ntwo", "docker compose up")
    assert explained == "docker compose up failed; its last lines:\n  | one\n  | two"


def test_results_of_two_launchers_are_kept_apart(comparison: ComparisonResult) -> None:
    """A comparison of containers with one of local processes is refused."""
    other = replace(comparison, launcher={"launcher": "compose"})
    with pytest.raises(UsageError, match="under the launcher local and the second under compose"):
        difference(comparison, other)
