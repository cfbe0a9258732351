"""From the start of a server to its first correct prediction, in stages on one time line.

Two observers watch a start. The launcher itself asks for golden example 0 until the answer is right, which is the
time to the first correct prediction that a comparison reports too. A `StartWatch` beside it, on a thread of its own so
that no slow prediction holds it up, notes when the REST port gives its first HTTP answer and when the readiness probe
becomes positive. All three are seconds since the start, so a probe that is late or early is seen as such.
"""

import contextlib
import math
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Annotated, Literal

from msgspec import Meta

from loadtest.errors import LaunchError
from loadtest.launch.attached import AttachedServer
from loadtest.launch.launcher import Launcher, LocalLauncher
from loadtest.launch.local import HOST
from loadtest.launch.running import RunningServer
from loadtest.records import Number
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import Answer, request

POLL_S = 0.02
LAST_ANSWERS_S = 2.0


@dataclass(frozen=True)
class StartTimes:
    """One start, in seconds since it began.

    Attributes:
        port_open: First HTTP answer of any status on the REST port; NaN where it was not watched.
        ready: First positive answer of the readiness probe; NaN where it was not watched.
        first_correct: First correct prediction.
    """

    port_open: Number
    ready: Number
    first_correct: float


@dataclass(frozen=True)
class Spread:
    """Median and range of a figure."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Median and range of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class StageSpreads:
    """Each point of the time line over several starts; None where it was never seen."""

    port_open: Spread | None
    ready: Spread | None
    first_correct: Spread | None


@dataclass(frozen=True)
class WarmStarts:
    """Warm starts of a server, in seconds.

    Attributes:
        runs: At least one.
        stages: Median and range of each point of the time line.
        median: That of `StartTimes.first_correct`.
        low: The smallest one.
        high: The largest one.
        measured_in: Whether the starts were made to be timed, or were those of a comparison's rounds.
    """

    runs: Annotated[tuple[StartTimes, ...], Meta(min_length=1)]
    stages: StageSpreads
    median: float
    low: float
    high: float
    measured_in: Literal["setup", "comparison"] = "setup"

    @classmethod
    def of(cls, starts: Sequence[StartTimes], measured_in: Literal["setup", "comparison"]) -> "WarmStarts":
        """Sum up at least one start."""
        runs = tuple(StartTimes(*(round(value, 3) for value in astuple(start))) for start in starts)
        first_correct = Spread.of([run.first_correct for run in runs])
        stages = StageSpreads(
            port_open=_spread([run.port_open for run in runs]),
            ready=_spread([run.ready for run in runs]),
            first_correct=first_correct,
        )
        return cls(runs, stages, first_correct.median, first_correct.low, first_correct.high, measured_in)


def _spread(values: Sequence[float]) -> Spread | None:
    known = [value for value in values if not math.isnan(value)]
    return Spread.of(known) if known else None


class StartWatch(threading.Thread):
    """Watches a server's port and readiness while it starts.

    Attributes:
        port_open: Reading of the clock at the first HTTP answer; NaN until then.
        ready: Reading of the clock at the first positive answer of the readiness probe; NaN until then.
        negatives: The different answers of the readiness probe before that, in their order.
    """

    def __init__(self, server: AttachedServer, on_ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(name=f"watch-{server.server.key}", daemon=True)
        self.port_open = self.ready = math.nan
        self.negatives: list[Answer] = []
        self._server = server
        self._on_ready = on_ready
        self._over = threading.Event()

    def run(self) -> None:
        """Ask until both are seen, or `finish` is called."""
        port = self._server.ports["rest"]
        while not request(self._server.host, port, "/", timeout_s=1.0).status:
            if self._over.wait(POLL_S):
                return
        self.port_open = time.monotonic()
        wanted = self._server.server.ready.contains
        while True:
            answer = self._server.probe(self._server.server.ready)
            if answer.status == 200 and wanted in answer.body.decode(errors="replace"):
                self.ready = time.monotonic()
                self._on_ready()
                return
            if answer not in self.negatives:
                self.negatives.append(answer)
            if self._over.wait(POLL_S):
                return

    def finish(self) -> None:
        """Stop watching, after a moment in which it may still see what the launcher has just seen."""
        self.join(LAST_ANSWERS_S)
        self._over.set()
        self.join()


def with_free_ports(server: Server) -> Server:
    """The same server with free ports for its default ones, so that they are known before it starts."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in server.ports]
        for one in sockets:
            one.bind((HOST, 0))
        ports = {role: one.getsockname()[1] for role, one in zip(server.ports, sockets, strict=True)}
    return replace(server, ports=ports)


def stop_whole(running: RunningServer) -> None:
    """Stop a server; if Ctrl-C interrupts that, stop it again before the interrupt is passed on."""
    try:
        running.stop()
    except KeyboardInterrupt:
        running.stop()
        raise


@contextlib.contextmanager
def watched_start(
    launcher: Launcher,
    server: Server,
    artifact: Artifact,
    on_ready: Callable[[AttachedServer], None] = lambda one: None,
) -> Iterator[tuple[RunningServer, StartTimes, StartWatch | None]]:
    """Start a server, watch it while it starts, and keep it up for as long as the context lasts.

    A container is not watched: its address is not known before it runs.

    Args:
        launcher: How it is started.
        server: Which one.
        artifact: The model it serves.
        on_ready: Called, on the watch's thread, at the moment the readiness probe becomes positive.

    Raises:
        LaunchError: If it does not start, or was running already.
        ParityError: If it answers wrongly.
    """
    with contextlib.ExitStack() as undo:
        if not isinstance(launcher, LocalLauncher):
            running = launcher.start(server)
            undo.callback(stop_whole, running)
            if math.isnan(running.first_prediction_s):
                raise LaunchError(f"{server.key} was running already, so its start cannot be timed: end it first")
            yield running, StartTimes(math.nan, math.nan, running.first_prediction_s), None
            return
        if launcher.any_port:
            server, launcher = with_free_ports(server), replace(launcher, any_port=False)
        seen = AttachedServer(server, artifact, server.label, HOST, dict(server.ports))
        watch = StartWatch(seen, lambda: on_ready(seen))
        began = time.monotonic()
        watch.start()
        undo.callback(watch.finish)
        running = launcher.start(server)
        undo.callback(stop_whole, running)
        watch.finish()
        began = getattr(running, "started", began)
        yield running, StartTimes(watch.port_open - began, watch.ready - began, running.first_prediction_s), watch


def warm_starts(
    launcher: Launcher,
    server: Server,
    artifact: Artifact,
    repeat: int,
    *,
    say: Callable[[str], None] = lambda line: None,
    before_last_stop: Callable[[RunningServer], None] = lambda running: None,
) -> list[StartTimes]:
    """Start a server and stop it again, several times.

    The files it reads are in the page cache after the first time at the latest; that is what warm means here.

    Args:
        launcher: How it is started.
        server: Which one.
        artifact: The model it serves.
        repeat: How often.
        say: Told what is under way.
        before_last_stop: Called with the server of the last start while it is up.

    Raises:
        LaunchError: If it does not start.
        ParityError: If it answers wrongly.
    """
    starts = []
    for number in range(1, repeat + 1):
        say(f"start {number} of {repeat}")
        with watched_start(launcher, server, artifact) as (running, start, _):
            starts.append(start)
            if number == repeat:
                before_last_stop(running)
    return starts
