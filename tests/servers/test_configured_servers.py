"""Servers that are started in a configuration of their knobs say themselves that they have it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.experiments.tuning_trial import write_configuration
from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.machine.ports import free_ports
from loadtest.servers.artifact import Artifact
from loadtest.servers.configured_server import Surroundings, configured, space_of
from loadtest.servers.server_folder import Server
from loadtest.servers.tuning_space import Value

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def started(server: Server, changes: Mapping[str, Value], artifact: Artifact, folder: Path) -> Iterator[LocalServer]:
    """The server in its default configuration with these changes; its first answer was the right one."""
    around = Surroundings.of(artifact, 1)
    configuration = {**space_of(server).default(1), **changes}
    write_configuration(server, configuration, folder, str(folder), around)
    running = start_local(configured(server, configuration, folder, around), artifact, UNPINNED, any_port=True)
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.slow
def test_flask(servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path) -> None:
    """Processes, request threads and PyTorch's threads."""
    changes = {"workers": 2, "threads": 8, "runtime_threads": 2}
    with started(servers["flask_server"], changes, artifact, tmp_path) as running:
        model: Any = running.effective()["model"]
    assert (model["wsgi"]["workers"], model["wsgi"]["threads"]) == (2, 8)
    assert 2 in model["runtime"].values()


@pytest.mark.slow
def test_torchserve(servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path) -> None:
    """Workers and batching from the command line, the others from the file: the queue's length is in the log."""
    changes = {"workers": 2, "batch_size": 4, "max_batch_delay": 7, "netty_threads": 4, "job_queue_size": 10}
    with started(servers["torchserve"], changes, artifact, tmp_path) as running:
        (model,) = running.effective()["model"]
        log = running.log_tail(1_000)
    assert (model["maxWorkers"], model["batchSize"], model["maxBatchDelay"]) == (2, 4, 7)
    assert "Netty threads: 4" in log


@pytest.mark.slow
def test_tf_serving(servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path) -> None:
    """With and without batching; the real server and its stand-in take the same flags and file."""
    changes: dict[str, Value] = {"batching": "on", "max_batch_size": 64, "rest_api_num_threads": 16, "intra_op": 2}
    with started(servers["tf_serving"], changes, artifact, tmp_path) as running:
        assert "--enable_batching" in running.command
        assert f"--batching_parameters_file={tmp_path}/batching.config" in running.command
        assert running.is_right(running.predict_example())


def test_flask_takes_its_env_file() -> None:
    """The numbers of processes and threads come from the environment; the command line wins over it."""
    env = {"FLASK_SERVER_WORKERS": "3", "PATH": "/usr/bin:/bin"}
    code = (
        "import sys; sys.argv = ['flask_server', *sys.argv[1:]]\n"
        "from flask_server.__main__ import parse_arguments\n"
        "print(parse_arguments().workers, parse_arguments().threads)"
    )
    for words, told in (([], "3 4"), (["--workers", "2", "--threads", "5"], "2 5")):
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == told


def test_settings_that_are_not_there_are_one_line(artifact: Artifact, tmp_path: Path) -> None:
    """TorchServe is not started."""
    command = [sys.executable, str(ROOT / "torchserve" / "serve.py"), "--artifact", str(artifact.folder)]
    command += ["--workload", "digits", "--run-dir", str(tmp_path), "--settings", str(tmp_path / "none")]
    options = ("--port", "--management-port", "--metrics-port", "--grpc-port", "--grpc-management-port")
    for option, port in free_ports(dict.fromkeys(options, 0), "127.0.0.1").items():
        command += [option, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"torchserve: cannot read the settings {tmp_path / 'none'}: ")
