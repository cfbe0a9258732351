"""A candidate is blessed by servers in containers beside the stack, within the limits that they will serve it with."""

import subprocess
import sys
from pathlib import Path

import docker
import pytest

from loadtest.errors import LaunchError
from loadtest.launch.container import ContainerServer
from loadtest.servers.artifact import Artifact, read_artifact
from loadtest.servers.server_toml import load_servers
from release.blessing import FOLDER, Blessing, read_blessing
from release.candidate import read_candidate
from release.infra_container import ContainerStart
from tests.release.conftest import unblessed_copy
from tests.stack.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]
FLASK = load_servers()["flask_server"]


@pytest.fixture
def folder(artifact: Artifact, tmp_path: Path) -> Path:
    """A copy of the digits artifact that nobody but its owner may read."""
    target = unblessed_copy(artifact, tmp_path)
    (target / "weights.safetensors").chmod(0o600)
    target.chmod(0o700)
    return target


def _bless(stack: Stack, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m models bless`; neither the stack nor what is beside it is another one afterwards."""
    before = {one.id for one in stack.containers()}
    done = subprocess.run(
        [sys.executable, "-m", "models", "bless", "--artifact", str(folder), "--launcher", "compose", *words],
        cwd=stack.root,
        env={**stack.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert {one.id for one in stack.containers()} == before
    assert not stack.containers("-beside")
    return done


def _verdict(folder: Path, server: str) -> Blessing:
    found = read_blessing(read_candidate("digits", folder), server)
    assert found is not None
    return found


def _started(stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> ContainerStart:
    for name, value in {**stack.environment, **environment}.items():
        monkeypatch.setenv(name, value)
    return ContainerStart(read_artifact(folder), timeout_s=60.0)


def _lack_memory(running: ContainerServer) -> None:
    """Lets the kernel end a process in the container; the server in it goes on."""
    # It keeps all that it reads until a line ends, and none does.
    code, _ = docker.from_env().containers.get(running.container_id).exec_run(["tail", "/dev/zero"])
    assert code == 137
    assert running.is_right(running.predict_example())


def test_a_server_in_its_container_blesses_a_model(stack: Stack, folder: Path) -> None:
    """The verdict says under which limits it was reached and from which image; the artifact stays its owner's."""
    done = _bless(stack, folder, "--servers", "flask_server")
    assert done.returncode == 0, done.stdout + done.stderr
    found = _verdict(folder, "flask_server")
    assert found.blessed
    assert (found.launcher, found.server_cores, found.memory_limit_mib) == ("compose", (0,), 2048.0)
    assert found.software[f"{stack.project}-flask_server"] == stack.container("flask_server").attrs["Image"]
    assert {"flask", "torch", "safetensors"} <= found.software.keys()
    assert found.golden > 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "weights.safetensors").stat().st_mode & 0o777 == 0o600


def test_too_little_memory_for_the_model_is_a_reason(stack: Stack, folder: Path) -> None:
    """In one line, with the setting that raises it; the stand-in is not called by the name of the real server."""
    done = _bless(stack, folder, "--servers", "flask_server,tf_serving", SERVER_MEMORY="40m")
    assert done.returncode == 1
    for server in ("flask_server", "tf_serving"):
        found = _verdict(folder, server)
        assert not found.blessed
        assert found.memory_limit_mib == 40.0
        (reason,) = found.reasons
        assert f"{server} was killed, most likely for want of memory: its limit is 40 MiB" in reason
        assert "\n" not in reason
        assert reason in done.stdout
    assert (found.label, found.stands_in_for) == ("TF Serving API (embedded)", "TensorFlow Serving")


def test_a_server_loads_before_it_is_asked(stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ready by its own word, and not even the stack's health check has sent it a prediction."""
    with _started(stack, folder, monkeypatch).loaded(FLASK) as running:
        assert running.is_ready()
        assert b'endpoint="predict"' not in running.call("GET", "rest", "/metrics").body
        assert running.is_right(running.predict_example())
        assert b'endpoint="predict"' in running.call("GET", "rest", "/metrics").body


def test_a_process_that_lacked_memory_counts(stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the kernel ended at the limit is a reason, although the server goes on answering."""
    start = _started(stack, folder, monkeypatch, SERVER_MEMORY="700m")
    with pytest.raises(LaunchError, match="want of memory: its limit is 700 MiB"), start.loaded(FLASK) as running:
        _lack_memory(running)


def test_variants_are_refused_before_anything_is_started(stack: Stack, folder: Path) -> None:
    """compose.yaml has none, so nothing is known of the model, and nothing is written about it."""
    done = _bless(stack, folder, "--servers", "flask_server,torchserve:batching")
    assert done.returncode == 1
    assert done.stderr == "error: torchserve:batching: compose.yaml has no variants; use --launcher local for it\n"
    assert not (folder / FOLDER).exists()
