"""A long night: a steady load for a million requests or for hours, every answer checked, and what the server holds.

Each answer is compared with the golden one: its numbers, or byte for byte with an earlier answer to the same request
whose numbers were right.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.errors import MeasurementError
from loadtest.experiments.measured_run import measure
from loadtest.experiments.server_run import server_target
from loadtest.judge.measured import MeasuredRun
from loadtest.launch.launcher import Launcher
from loadtest.launch.launcher import running as up
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed, Poisson, check_connections, check_plan
from loadtest.records import Count
from loadtest.resilience.soak_sample import SoakSample, SoakTotals, sample_of
from loadtest.servers.server_folder import DEFAULT_WIRE, Server

PAYLOADS = 2_000
"""Different requests, as far as the inputs go."""

WARMUP_S, PACE_S = 10.0, 2.0
"""The warm-up at most, and the closed loop after it, whose rate tells how long a number of requests will take."""

SAMPLES = 60
"""At least so many samples, as long as none is shorter than `SHORTEST_SAMPLE_S`."""

SHORTEST_SAMPLE_S = 0.5
SLOWER = 4.0
"""A server that owes requests is waited for this many times as long as they would have taken at the first rate."""


@dataclass(frozen=True)
class SoakPlan:
    """How a server is soaked.

    Attributes:
        requests: It ends after this many; None where it ends after a time.
        duration_s: It ends after so many seconds; None where it ends after a number of requests.
        rate: Requests per second, as a Poisson process; None for a closed loop.
        connections: Connections of the client.
        sample_s: Seconds between two samples; fewer in a short soak.
        seed: Of the schedule.
    """

    requests: Count | None = 1_000_000
    duration_s: float | None = None
    rate: float | None = None
    connections: int = 16
    sample_s: float = 5.0
    seed: int = 1

    def __post_init__(self) -> None:
        check_connections(self.connections)
        if self.rate:
            check_plan(self.rate, self.length_s(self.rate))

    def length_s(self, pace_rps: float) -> float:
        """How long it takes at a rate: a Poisson process hardly ever sends fewer requests than were asked for."""
        if self.duration_s is not None:
            return self.duration_s
        requests = self.requests or 0
        margin = 4 * math.sqrt(requests) if self.rate else 0.0
        return (requests + margin) / pace_rps

    def load(self, pace_rps: float) -> Load:
        """The load after the warm-up.

        Args:
            pace_rps: What the server answers in a closed loop.
        """
        length_s = self.length_s(self.rate or pace_rps)
        schedule: Poisson | Closed
        if self.rate:
            schedule = Poisson(self.rate, length_s)
        else:
            schedule = Closed(length_s, self.requests or 0, max(SLOWER * length_s, Closed.patience_s))
        window_s = min(self.sample_s, max(length_s / SAMPLES, SHORTEST_SAMPLE_S))
        return Load(schedule, 0.0, self.connections, seed=self.seed, window_s=window_s)


def soak(
    launcher: Launcher,
    server: Server,
    plan: SoakPlan,
    *,
    wire: str = DEFAULT_WIRE,
    say: Callable[[str], None] = lambda line: None,
    on_begin: Callable[[RunningServer, float], None] = lambda running, pace_rps: None,
    on_sample: Callable[[SoakSample], None] = lambda sample: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> SoakTotals:
    """Soak a server that is started for it.

    Args:
        launcher: How it is started, and the model that it serves.
        server: Which one.
        plan: How it is soaked.
        wire: Name of the wire format.
        say: Told what is under way.
        on_begin: Called when it is warm, with the rate that it answers in a closed loop.
        on_sample: Called with each sample, as soon as it is taken.
        on_progress: Called about once a second of the soak.

    Raises:
        LoadtestError: If it does not start, answers nothing in the closed loop before, or ends.
    """
    say("starting")
    with up(launcher, [server]) as (running,):
        url = running.url_over(wire)
        target = server_target(running, PAYLOADS, wire)

        def put(load: Load, follow: Callable[[Progress], None]) -> MeasuredRun:
            run, _ = measure(
                target,
                load,
                target=url,
                wire=wire,
                expectation="golden",
                placement=launcher.placement,
                server_usage=running.usage_if_known(),
                on_progress=follow,
            )
            running.raise_if_ended()
            return run

        say("warming up")
        calm = put(Load(Closed(PACE_S), WARMUP_S, plan.connections, seed=plan.seed), lambda progress: None)
        if calm.tally.mismatched or not calm.tally.ok:
            raise MeasurementError(f"{calm.tally.ok} right and {calm.tally.mismatched} wrong answers before the soak")
        on_begin(running, calm.throughput_rps)
        sampling = _Sampling(running, on_sample)

        def follow(progress: Progress) -> None:
            sampling.follow(progress)
            on_progress(progress)

        run = put(plan.load(calm.throughput_rps), follow)
        return SoakTotals.of_tally(run.tally, run.elapsed_s, run.verdict.reasons)


class _Sampling:
    """Makes a sample of each stretch of the time line, as it ends.

    Args:
        running: The server.
        take: Given each sample.
    """

    def __init__(self, running: RunningServer, take: Callable[[SoakSample], None]) -> None:
        self._running = running
        self._take = take
        self._ended_s = 0.0
        self._right = 0

    def follow(self, progress: Progress) -> None:
        """Take the stretches that have ended since; what ends with the load has lost its connections already.

        Raises:
            LoadtestError: If the server has ended.
        """
        if not progress.windows:
            return
        self._running.raise_if_ended()
        held = self._running.holdings()
        for window in progress.windows:
            lasted_s = window.end_s - self._ended_s
            self._ended_s = window.end_s
            self._right += window.ok
            self._take(sample_of(window, lasted_s, self._right, progress.mismatched, progress.errors, held))
