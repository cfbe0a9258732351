"""A server that is up, however it came up: how it is asked, read and stopped."""

import abc
import math
import signal
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from loadtest.errors import UsageError
from loadtest.judge.server_times import TimesRead, read_times
from loadtest.machine.holdings import Holdings
from loadtest.machine.usage import Usage
from loadtest.servers.artifact import Artifact
from loadtest.servers.expectation import Golden
from loadtest.servers.server_folder import DEFAULT_WIRE, HttpGet, Server, fill
from loadtest.wire.formats import find_wire
from loadtest.wire.single_request import Answer, request

LOG_LINES = 12
UNAVAILABLE = 503
LOADING_S, POLL_S = 60.0, 0.02


class RunningServer(abc.ABC):
    """A server that was started, or found.

    Attributes:
        server: Its contract.
        artifact: The model it serves.
        label: What tables call it: the label of the launch that was used.
        host: Address it listens on.
        ports: The port of each role.
        started: Reading of the monotonic clock just before its start; NaN where it ran already, or is not up yet.
        first_prediction_s: Seconds from its start to its first correct prediction; NaN where it ran already.
    """

    def __init__(self, server: Server, artifact: Artifact, label: str, host: str, ports: dict[str, int]) -> None:
        self.server = server
        self.artifact = artifact
        self.label = label
        self.host = host
        self.ports = ports
        self.started = math.nan
        self.first_prediction_s = math.nan

    @property
    def _context(self) -> dict[str, object]:
        """What the templates of its requests may use."""
        artifact = self.artifact
        return {
            "workload": artifact.workload,
            "version": artifact.version,
            "host": self.host,
            "ports": self.ports,
        }

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """What each request to it has to bring: the token that it asks for, if any."""
        return self.server.token_headers()

    @property
    def predict_path(self) -> str:
        """Path of the REST prediction."""
        return fill(self.server.wires[DEFAULT_WIRE].path, self._context)

    @property
    def url(self) -> str:
        """Address of the REST prediction."""
        return self.url_over(DEFAULT_WIRE)

    def url_over(self, wire: str) -> str:
        """Address of the prediction over a wire format.

        Raises:
            UsageError: If there is no such format, or the server does not speak it.
        """
        scheme = find_wire(wire).scheme
        endpoint = self.server.endpoint(wire)
        return f"{scheme}://{self.host}:{self.ports[endpoint.port]}{fill(endpoint.path, self._context)}"

    def predict(self, body: bytes, timeout_s: float = 10.0) -> Answer:
        """Send one prediction over REST."""
        headers = {"Content-Type": "application/json", **self.headers}
        return request(self.host, self.ports["rest"], self.predict_path, body, timeout_s=timeout_s, headers=headers)

    def predict_example(self) -> Answer:
        """Send golden example 0 over REST."""
        return self.predict(self._example, timeout_s=5.0)

    def is_right(self, answer: Answer) -> bool:
        """Whether an answer to golden example 0 is the right one."""
        return answer.status == 200 and self._golden.matches(0, answer.body)

    @cached_property
    def _example(self) -> bytes:
        return self.artifact.example_body()

    @cached_property
    def _golden(self) -> Golden:
        return self.artifact.expectation()

    def probe(self, get: HttpGet) -> Answer:
        """Send a GET request of the contract."""
        return self.call("GET", get.port, fill(get.path, self._context), timeout_s=5.0)

    def call(self, method: str, port: str, path: str, timeout_s: float = 10.0) -> Answer:
        """Send a request without a body.

        Args:
            method: Of HTTP.
            port: Name of the port.
            path: Path with query.
            timeout_s: Limit for everything together, in seconds.
        """
        return request(self.host, self.ports[port], path, method=method, timeout_s=timeout_s, headers=self.headers)

    def is_ready(self) -> bool:
        """Whether the readiness probe is positive now."""
        answer = self.probe(self.server.ready)
        return answer.status == 200 and self.server.ready.contains in answer.body.decode(errors="replace")

    def effective(self) -> dict[str, Any]:
        """The configuration that the server itself reports."""
        return {name: self.told(one).json for name, one in self.server.effective.items()}

    def told(self, get: HttpGet) -> Answer:
        """Send a GET request of the contract; while it is refused with 503, send it again.

        A server of several processes answers while some of them still load their model, and each probe is a
        connection of its own, which any of them may take.
        """
        deadline = time.monotonic() + LOADING_S
        while (answer := self.probe(get)).status == UNAVAILABLE:
            if self.ending() or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        return answer

    @property
    def supervised(self) -> bool:
        """Whether something starts it anew when its main process has ended by itself."""
        return False

    @abc.abstractmethod
    def raise_if_ended(self) -> None:
        """Raise `LaunchError` with the last log lines where the server has ended."""

    def ending(self) -> str:
        """How the server's process ended, in words; empty while it lives, or where nothing is known of it."""
        return ""

    @abc.abstractmethod
    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines that the server printed, indented."""

    def send_signal(self, name: str) -> None:
        """Send a signal such as ``SIGHUP`` to the server's main process.

        Raises:
            UsageError: If its process is not known.
        """
        raise UsageError(f"{self.server.key} was not started here, so {name} cannot be sent to it")

    def processes(self) -> list[psutil.Process]:
        """Its main process first, then what descends from it.

        Raises:
            UsageError: If they are not known.
        """
        raise UsageError(f"{self.server.key} was not started here, so its processes are not known")

    def end_process(self, process: psutil.Process, name: str) -> None:
        """Send a signal such as ``SIGKILL`` to one of its processes."""
        process.send_signal(signal.Signals[name])

    @property
    def memory_limit_mib(self) -> float | None:
        """The memory that it may use, in MiB; None where it may use all of the machine's."""
        return None

    def limit_memory(self, mib: float) -> None:
        """Change its limit of memory; only of a server that has one."""
        raise UsageError(f"{self.server.key} has no memory limit")

    @abc.abstractmethod
    def usage(self) -> Usage:
        """CPU and memory that the server used so far."""

    def usage_if_known(self) -> Callable[[], Usage] | None:
        """`usage` where the server's processes are known, else None."""
        return self.usage

    def holdings(self) -> Holdings | None:
        """What it holds now; None where its processes are not known."""
        usage = self.usage_if_known()
        return Holdings.of_usage(usage(), math.nan, None) if usage else None

    def times(self) -> TimesRead:
        """What it tells of the times of its requests so far; only of a server whose contract says where."""
        assert self.server.times is not None
        table = self.server.times
        return read_times(self.probe(HttpGet(table.port, table.path)), table)

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """What was started: for example its command or image, and its limits; goes into the result as it is."""

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
