"""Overload: what a server still answers in time when more is asked of it than it can do.

Goodput is the rate of right answers within the patience of those who asked (Mogul and Ramakrishnan, Eliminating receive
livelock in an interrupt-driven kernel, ACM TOCS 15, 1997, have the picture: goodput against offered load). A server
that lets everybody wait goes on working at full speed, for clients that have left. One that refuses what it cannot do
in time keeps its goodput.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from loadtest.experiments.measured_run import measure
from loadtest.experiments.server_run import server_target
from loadtest.judge.findings import Finding
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.objective import Objective
from loadtest.launch.launcher import Launcher
from loadtest.launch.launcher import running as up
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.load.recorder import Window
from loadtest.load.schedule import Closed, Piecewise, Poisson
from loadtest.records import Count, Number
from loadtest.servers.server_folder import DEFAULT_WIRE, Server
from loadtest.wire.golden_target import Target

PAYLOADS = 2_000
"""Different requests, as far as the inputs go."""

CEILING_CONNECTIONS = 16
LOOKED_AT, FASTER = 4, 0.05
"""A capacity has settled where none of so many closed loops in a row was faster by this share than the best before."""

CALM_S, CALM_WITHIN_S = 60.0, 0.5
"""How long a server is waited for after an overload, and how quickly a single request is answered by a calm one."""


@dataclass(frozen=True)
class OverloadPlan:
    """How a server is overloaded.

    Attributes:
        factors: Offered loads, as multiples of the rate that the server answers in a closed loop.
        level_s: Seconds of each.
        ceiling_s: Seconds of each closed loop before them; the warm-up of the first lasts twice as long at most.
        most_loops: How often the closed loop is run at most until it has settled: a server whose code is compiled while
            it runs (Java) may look steady for ten seconds and be twice as fast a minute later.
        patience_s: After so many seconds a client leaves, and an answer is of no use to it.
        connections: Connections of all clients together.
        seed: Of the schedules, which are the same for every server.
    """

    factors: tuple[float, ...] = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
    level_s: float = 8.0
    ceiling_s: float = 5.0
    most_loops: int = 16
    patience_s: float = 1.0
    connections: int = 1_000
    seed: int = 1


@dataclass(frozen=True)
class OverloadLevel:
    """One offered load.

    Attributes:
        factor: As a multiple of the ceiling.
        offered_rps: Requests per second.
        requests: How many were due.
        in_time: How many were answered rightly within the clients' patience.
        goodput_rps: The same per second.
        wrong: How many were answered wrongly.
        errors: The others by kind: refused (``http_503``), left by their client (``timeout``, ``gave_up``) and so on.
        p50_ms: Median response time of the right answers.
        p99_ms: Their 99th percentile.
        resident_mib: The most memory that the server was seen to use.
        calm_after_s: Seconds after the level's end until a single request was answered quickly again; infinite where it
            never was.
        faults: Why the client's numbers cannot be believed; empty where they can.
    """

    factor: float
    offered_rps: float
    requests: Count
    in_time: Count
    goodput_rps: float
    wrong: Count
    errors: dict[str, Count]
    p50_ms: Number
    p99_ms: Number
    resident_mib: Number
    calm_after_s: Number
    faults: list[Finding]


@dataclass(frozen=True)
class Overload:
    """What a server did under overload.

    Attributes:
        plan: How it was overloaded.
        ceiling_rps: Right answers per second in a closed loop: what its capacity is taken for here.
        levels: One for each offered load.
        recovery_s: How long requests still failed, or were answered too late, after the load had dropped from the
            highest level to half of the capacity; infinite where they did to the end.
        loops_rps: The throughput of each closed loop; the highest is the ceiling.
    """

    plan: OverloadPlan
    ceiling_rps: float
    levels: list[OverloadLevel]
    recovery_s: Number
    loops_rps: list[float] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether the closed loops had stopped growing faster; where there was one, nobody knows."""
        return len(self.loops_rps) < 2 or settled(self.loops_rps)

    @property
    def highest(self) -> OverloadLevel:
        """The level of the highest offered load."""
        return max(self.levels, key=lambda level: level.factor)

    def goodput_share(self, level: OverloadLevel) -> float:
        """Goodput as a share of the ceiling."""
        return level.goodput_rps / self.ceiling_rps


def overload(
    launcher: Launcher,
    server: Server,
    plan: OverloadPlan,
    *,
    wire: str = DEFAULT_WIRE,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Overload:
    """Overload a server that is started for it.

    Args:
        launcher: How it is started, and the model that it serves.
        server: Which one.
        plan: How it is overloaded.
        wire: Name of the wire format.
        say: Told what is under way.
        on_progress: Called about once a second of each load.

    Raises:
        LoadtestError: If it does not start, answers wrongly or ends.
    """
    with up(launcher, [server]) as (running,):
        clients = _Clients(running, launcher, plan, wire, on_progress)
        say("closed loop")
        loops = until_settled(clients.closed_loop, plan.most_loops)
        ceiling = max(loops)  # what disturbs a server makes it slower
        levels = []
        for factor in plan.factors:
            say(f"{factor:g} times its capacity")
            levels.append(clients.level(factor, ceiling))
        say("recovery")
        return Overload(plan, ceiling, levels, clients.recovery(ceiling), loops)


def until_settled(closed_loop: Callable[[int], float], most: int) -> list[float]:
    """Run closed loops until they have settled.

    Args:
        closed_loop: Runs one and returns its throughput; it is told how many were run before.
        most: How many are run at most.

    Returns:
        The throughput of each.
    """
    rates = [closed_loop(0)]
    while len(rates) < most and not settled(rates):
        rates.append(closed_loop(len(rates)))
    return rates


def settled(rates: Sequence[float]) -> bool:
    """Whether the last closed loops were no faster than the best before them.

    Two that agree would not do: they may both be early, or both be disturbed.
    """
    before, last = rates[:-LOOKED_AT], rates[-LOOKED_AT:]
    return bool(before) and max(last) <= (1 + FASTER) * max(before)


@dataclass(frozen=True)
class _Clients:
    """Impatient clients in front of one server."""

    running: RunningServer
    launcher: Launcher
    plan: OverloadPlan
    wire: str
    on_progress: Callable[[Progress], None]

    def closed_loop(self, before: int) -> float:
        ceiling_s = self.plan.ceiling_s
        warmup_s = 0.0 if before else 2 * ceiling_s
        load = Load(Closed(ceiling_s), warmup_s, CEILING_CONNECTIONS, seed=self.plan.seed)
        return self._measure(load)[0].throughput_rps

    def level(self, factor: float, ceiling_rps: float) -> OverloadLevel:
        plan = self.plan
        run, resident_mib = self._measure(self._impatient(Poisson(factor * ceiling_rps, plan.level_s)))
        tally = run.tally
        # An answer that came in time to its own send may still be late for the user, who has waited for a connection.
        in_time = tally.scheduled - Objective(99.0, plan.patience_s * 1e3, 1.0).slow(tally)
        p50, p99 = (one / 1e6 for one in tally.response.percentiles([50.0, 99.0]))
        return OverloadLevel(
            factor=factor,
            offered_rps=tally.scheduled / plan.level_s,
            requests=tally.scheduled,
            in_time=in_time,
            goodput_rps=in_time / plan.level_s,
            wrong=tally.mismatched,
            errors=dict(sorted(tally.errors.items())),
            p50_ms=p50,
            p99_ms=p99,
            resident_mib=resident_mib,
            calm_after_s=self._await_calm(),
            faults=run.verdict.reasons,
        )

    def recovery(self, ceiling_rps: float) -> float:
        plan = self.plan
        high, low = max(plan.factors) * ceiling_rps, 0.5 * ceiling_rps
        step = Piecewise((high, low, low), 3 * plan.level_s, kind="step")
        run, _ = self._measure(self._impatient(step))
        return recovery_s(run.tally.windows, plan.level_s, plan.patience_s, 3 * plan.level_s)

    def _impatient(self, schedule: Poisson | Piecewise) -> Load:
        plan = self.plan
        return Load(schedule, 0.0, plan.connections, seed=plan.seed, timeout_s=plan.patience_s, impatient=True)

    def _measure(self, load: Load) -> tuple[MeasuredRun, float]:
        """Put it under load, and note the most memory that it is seen to use."""
        resident = [0.0]
        usage = self.running.usage_if_known()

        def follow(progress: Progress) -> None:
            if usage:
                resident.append(usage().resident_mib)
            self.on_progress(progress)

        run, used = measure(
            self._target,
            load,
            target=self.running.url_over(self.wire),
            wire=self.wire,
            expectation="golden",
            placement=self.launcher.placement,
            server_usage=usage,
            on_progress=follow,
        )
        self.running.raise_if_ended()
        return run, max([*resident, used.resident_mib] if used else resident)

    @cached_property
    def _target(self) -> Target:
        """The requests, encoded once for all loads."""
        return server_target(self.running, PAYLOADS, self.wire)

    def _await_calm(self) -> float:
        """Seconds until a single request is answered rightly and quickly."""
        began = time.monotonic()
        while (now := time.monotonic()) - began < CALM_S:
            if self.running.is_right(self.running.predict_example()) and time.monotonic() - now < CALM_WITHIN_S:
                return time.monotonic() - began
            self.running.raise_if_ended()
            time.sleep(0.05)
        return float("inf")


def recovery_s(windows: Sequence[Window], dropped_s: float, patience_s: float, ended_s: float) -> float:
    """Seconds from the drop of the load to the end of the last stretch in which a request failed or was late.

    Args:
        windows: The time line.
        dropped_s: When the load dropped, in seconds from the start.
        patience_s: What is late.
        ended_s: When the load ended.

    Returns:
        0 where every stretch after the drop was good, infinite where the last one was not.
    """
    after = [window for window in windows if dropped_s < window.end_s <= ended_s]
    bad = [window.end_s for window in after if window.failed or window.max_ms > patience_s * 1e3]
    if not bad:
        return 0.0
    return float("inf") if bad[-1] == after[-1].end_s else bad[-1] - dropped_s
