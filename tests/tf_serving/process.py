"""Starting the embedded server as users do: as a process, reached through its ports."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 90


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], Any], what: str) -> Any:
    """Polls until the condition holds and returns what it returned."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")


def command(*flags: str) -> list[str]:
    """The server's command line."""
    return [sys.executable, "-m", "tf_serving.embedded", *flags]


class ServerProcess:
    """A running server; `url` is its REST address and `target` its gRPC address."""

    def __init__(self, log: Path, *flags: str) -> None:
        self.log = log
        self.rest_port, self.grpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.rest_port}"
        self.target = f"127.0.0.1:{self.grpc_port}"
        ports = (f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}")
        with log.open("wb") as out:
            self.process = subprocess.Popen(command(*ports, *flags), stdout=out, stderr=out, cwd=ROOT)

    def log_text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8")

    def states(self, model: str) -> dict[int, str]:
        """The state of every version of a model; empty while the server does not answer."""
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log_text()}")
        try:
            answer = requests.get(f"{self.url}/v1/models/{model}", timeout=DEADLINE_SECONDS)
        except requests.ConnectionError:
            return {}
        entries = answer.json().get("model_version_status", [])
        return {int(entry["version"]): entry["state"] for entry in entries}

    def wait(self, model: str, version: int = 1, state: str = "AVAILABLE") -> None:
        """Returns once a version is in that state."""
        until(lambda: self.states(model).get(version) == state, f"{model} version {version} {state}")

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        """POSTs a JSON value, or bytes as they are."""
        how = {"data": body} if isinstance(body, bytes) else {"json": body}
        return requests.post(f"{self.url}{path}", timeout=DEADLINE_SECONDS, **how, **options)

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=DEADLINE_SECONDS)

    def kill(self) -> None:
        """Ends the process whatever it does."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
