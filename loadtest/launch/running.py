"""A server that was started, however it was started."""

import abc
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtest.errors import LaunchError, ParityError, UsageError
from loadtest.machine.usage import Usage
from loadtest.servers.artifact import Artifact
from loadtest.servers.expectation import Golden
from loadtest.servers.server_folder import HttpGet, Server, fill
from loadtest.wire.single_request import Answer, request

POLL_S = 0.02
LOG_LINES = 12


class RunningServer(abc.ABC):
    """A started server.

    Attributes:
        server: Its contract.
        artifact: The model it serves.
        label: What tables call it: the label of the launch that was used.
        host: Address it listens on.
        ports: The port of each role.
        first_prediction_s: Seconds from its start to its first correct prediction; NaN where it ran already.
    """

    def __init__(self, server: Server, artifact: Artifact, label: str, host: str, ports: dict[str, int]) -> None:
        self.server = server
        self.artifact = artifact
        self.label = label
        self.host = host
        self.ports = ports
        self.first_prediction_s = float("nan")
        self._context: dict[str, object] = {
            "workload": artifact.workload,
            "version": artifact.version,
            "host": host,
            "ports": ports,
        }

    @property
    def predict_path(self) -> str:
        """Path of the REST prediction."""
        return fill(self.server.predict, self._context)

    @property
    def url(self) -> str:
        """Address of the REST prediction."""
        return f"http://{self.host}:{self.ports['rest']}{self.predict_path}"

    @property
    def grpc_url(self) -> str:
        """Address of the gRPC prediction.

        Raises:
            UsageError: If the server speaks no gRPC.
        """
        if "grpc" not in self.server.protocols:
            raise UsageError(f"{self.server.key} does not speak gRPC: leave --wire grpc out")
        return f"grpc://{self.host}:{self.ports['grpc']}{self.server.grpc_method}"

    def predict(self, body: bytes, timeout_s: float = 10.0) -> Answer:
        """Send one prediction over REST."""
        return request(self.host, self.ports["rest"], self.predict_path, body, timeout_s=timeout_s)

    def probe(self, get: HttpGet) -> Answer:
        """Send a GET request of the contract."""
        return request(self.host, self.ports[get.port], fill(get.path, self._context), timeout_s=5.0)

    def is_ready(self) -> bool:
        """Whether the readiness probe is positive now."""
        answer = self.probe(self.server.ready)
        return answer.status == 200 and self.server.ready.contains in answer.body.decode(errors="replace")

    def effective(self) -> dict[str, Any]:
        """The configuration that the server itself reports."""
        return {name: self.probe(one).json for name, one in self.server.effective.items()}

    def await_prediction(self, started: float, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Poll until the first golden example is answered correctly and the readiness probe agrees.

        Args:
            started: Reading of the clock at the start of the server.
            timeout_s: Patience, in seconds from now.
            clock: Seconds, monotonic.

        Raises:
            LaunchError: If the server ended, or did not answer in time; its last log lines are in the text.
            ParityError: If it is ready and answers something else.
        """
        body, golden = self.artifact.bodies()[0], self.artifact.expectation()
        deadline = clock() + timeout_s
        wrong = 0
        while True:
            answer = self.predict(body, timeout_s=5.0)
            if answer.status == 200 and golden.matches(0, answer.body):
                self.first_prediction_s = clock() - started
                break
            if answer.status == 200 and self.is_ready():
                wrong += 1
                if wrong >= 3:
                    raise ParityError(self._wrong_answer(golden, answer))
            self.raise_if_ended()
            if clock() > deadline:
                reason = answer.fault or f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}"
                raise LaunchError(
                    f"{self.server.key} did not answer a prediction within {timeout_s:.0f} s ({reason}); "
                    f"its last lines:\n{self.log_tail()}"
                )
            time.sleep(POLL_S)
        while not self.is_ready():
            self.raise_if_ended()
            if clock() > deadline:
                raise LaunchError(
                    f"{self.server.key} predicts, but its readiness probe {self.server.ready.path} stays negative"
                )
            time.sleep(POLL_S)

    def _wrong_answer(self, golden: Golden, answer: Answer) -> str:
        difference = golden.difference(0, answer.body)
        what = "no prediction of the right shape" if difference == float("inf") else f"off by {difference:.2g}"
        shown = answer.body[:120].decode(errors="replace")
        return f"{self.server.key} is ready but answers golden example 0 wrongly ({what}): {shown}"

    @abc.abstractmethod
    def raise_if_ended(self) -> None:
        """Raise `LaunchError` with the last log lines where the server has ended."""

    def ending(self) -> str:
        """How the server's process ended, in words; empty while it lives, or where nothing is known of it."""
        return ""

    @abc.abstractmethod
    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines that the server printed."""

    @abc.abstractmethod
    def usage(self) -> Usage:
        """CPU and memory that the server used so far."""

    def usage_if_known(self) -> Callable[[], Usage] | None:
        """`usage` where the server's processes are known, else None."""
        return self.usage

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """What was started: command or image, digest, limits."""

    @abc.abstractmethod
    def stop(self) -> None:
        """End the server and everything it started."""


def ending_of(code: int) -> str:
    """How a process ended, in words: ``SIGABRT`` or ``exit code 3``.

    Args:
        code: Its exit code; a signal's number is negative as `subprocess` tells it, and 128 higher as shells do.
    """
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit code {code}"


def tail(path: Path, lines: int) -> str:
    """The last lines of a log file, indented."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"  (no log: {error})"
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:]) or "  (it printed nothing)"
