"""Helpers around the stack under test: all of them go through the same commands that a user has."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docker.models.containers import Container

from loadtest.launch.compose_project import ComposeProject
from loadtest.wire.single_request import request

SERVERS = ("tf_serving", "torchserve", "flask_server")
PATHS = {
    "tf_serving": "/v1/models/digits:predict",
    "torchserve": "/predictions/digits",
    "flask_server": "/v1/models/digits:predict",
}
PATIENCE_S = 180.0


@dataclass(frozen=True)
class Stack:
    """A compose project.

    Attributes:
        root: The repository.
        environment: What `docker compose` runs with.
    """

    root: Path
    environment: dict[str, str]

    @property
    def project(self) -> str:
        """Name of the project."""
        return self.environment["COMPOSE_PROJECT_NAME"]

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run `docker compose`; its output is in the message where it fails."""
        return self._run(["docker", "compose", *arguments], check=check)

    def build(self) -> None:
        """Build every image of it."""
        self.compose("--profile", "loadtest", "build", "--quiet")

    def loadtest(
        self, *arguments: str, program: str = "loadtest", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m loadtest`, or another form of it, on the host."""
        return subprocess.run(
            [sys.executable, "-m", program, *arguments],
            cwd=self.root,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def container(self, service: str) -> Container:
        """The container of a service."""
        found = ComposeProject(self.root, self.environment).container(service)
        assert found is not None, f"there is no container of {service}"
        return found

    def containers(self, suffix: str = "") -> list[Container]:
        """Every container of the project, or of the one whose name has something at its end."""
        environment = {**self.environment, "COMPOSE_PROJECT_NAME": f"{self.project}{suffix}"}
        return ComposeProject(self.root, environment).containers()

    def inside(self, service: str, script: str) -> str:
        """Run a bash script in the container of a service and return what it printed."""
        return self.compose("exec", "-T", service, "bash", "-c", script).strip()

    def port(self, service: str) -> int:
        """Published REST port."""
        return int(self.environment[f"{service.upper()}_REST_PORT"])

    def url(self, service: str) -> str:
        """Published address of the REST prediction."""
        return f"http://127.0.0.1:{self.port(service)}{PATHS[service]}"

    def _run(self, command: list[str], *, check: bool) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, errors="replace", check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout


@dataclass
class Load:
    """Predictions sent without a pause by a few threads.

    Attributes:
        answered: Correct HTTP answers so far.
        failed: Requests without one.
    """

    answered: int = 0
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def under_load(port: int, path: str, body: bytes, threads: int = 3) -> Iterator[Load]:
    """Keep a server under load for as long as the context lasts."""
    load, stop = Load(), threading.Event()

    def send() -> None:
        while not stop.is_set():
            good = request("127.0.0.1", port, path, body, timeout_s=5.0).status == 200
            with load.lock:
                load.answered += good
                load.failed += not good
            if not good:
                stop.wait(0.1)

    senders = [threading.Thread(target=send) for _ in range(threads)]
    for sender in senders:
        sender.start()
    try:
        yield load
    finally:
        stop.set()
        for sender in senders:
            sender.join()


def await_that(what: str, is_so: Callable[[], bool]) -> None:
    """Poll until something is so; the patience is for slow machines and no limit of the product."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        time.sleep(0.2)
