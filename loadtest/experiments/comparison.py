"""The comparison: parity gate, then rounds in a seeded order, one server alive and under load at a time.

Every round starts the server anew. So the rounds are independent of each other, the time to the first correct
prediction is measured in each of them, and no idle neighbour takes CPU from the server under load.
"""

import contextlib
import datetime
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loadtest.errors import LoadtestError, UsageError
from loadtest.experiments.capacity_search import Capacity, find_capacity
from loadtest.experiments.measured_run import Load
from loadtest.experiments.parity import Parity, check_parity
from loadtest.experiments.server_run import measure_server
from loadtest.judge.objective import Objective
from loadtest.judge.run_result import RunResult
from loadtest.launch.launcher import Launcher
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.load.schedule import Closed, Poisson
from loadtest.machine.usage import Usage
from loadtest.servers.artifact import Artifact
from loadtest.servers.forward_pass import ForwardPassTime, time_forward_passes
from loadtest.servers.server_folder import Server

GATE_S = 1.0
TAKEN_AGAIN = "taken again after an invalid try"
"""How the finding begins that tells of a run thrown away."""

RATE_SHARE = 0.5
"""The common rate is this share of the slowest server's ceiling: every server can carry it."""


@dataclass(frozen=True)
class Plan:
    """What a comparison does.

    Attributes:
        rounds: Rounds per server.
        duration_s: Length of the open-loop run of a round; the closed-loop run is half as long.
        warmup_s: Warm-up before each run.
        rate: Common offered rate, requests per second; 0 to take half of the slowest server's ceiling.
        connections: Connections of the client.
        batch: Instances in one request.
        seed: Seed of the schedules and of the order.
        curve: Shares of a server's own ceiling at which each round takes its latency too.
        slo: Objective whose capacity is searched after the rounds, or nothing.
        tries: A run that the client or the machine spoiled is taken again, the same schedule, up to so many times in
            all; each try that was thrown away is told among the findings of the run that took its place.
    """

    rounds: int = 3
    duration_s: float = 5.0
    warmup_s: float = 1.0
    rate: float = 0.0
    connections: int = 8
    batch: int = 1
    seed: int = 1
    curve: tuple[float, ...] = ()
    slo: str = ""
    tries: int = 2

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"rounds must be at least 1, not {self.rounds}")
        if self.tries < 1:
            raise UsageError(f"a run is tried at least once, not {self.tries} times")
        if self.batch < 1:
            raise UsageError(f"the batch must be at least 1, not {self.batch}")
        if any(not 0 < share <= 2 for share in self.curve):
            raise UsageError("the shares of the curve must be above 0 and at most 2")
        if self.slo:
            Objective.parse(self.slo)
        Load(Poisson(self.rate or 1.0, self.duration_s), self.warmup_s, self.connections, seed=self.seed)


@dataclass(frozen=True)
class Round:
    """What one round measured of one server.

    Attributes:
        number: From 1.
        first_prediction_s: Start to first correct prediction.
        open_loop: The run at the common rate.
        closed_loop: The run at the server's ceiling.
        open_usage: Server's CPU seconds in the open-loop run, and its memory after it.
        closed_usage: The same of the closed-loop run.
        curve: Open-loop runs at the rates of the load curve, lowest first.
    """

    number: int
    first_prediction_s: float
    open_loop: RunResult
    closed_loop: RunResult
    open_usage: Usage | None
    closed_usage: Usage | None
    curve: tuple[RunResult, ...] = ()


@dataclass
class Record:
    """Everything known of one server in a comparison.

    Attributes:
        server: Its contract.
        label: What tables call it.
        parity: The gate.
        ceiling_rps: Closed-loop throughput at the gate, from which the common rate is drawn.
        rounds: Rounds so far.
        capacity: What the capacity search found, where one was asked for.
        faults: What went wrong, in plain words; such a server keeps its place in the table.
        effective: Configuration read back from the server.
        started: What was started.
    """

    server: Server
    label: str
    parity: Parity | None = None
    ceiling_rps: float = math.nan
    rounds: list[Round] = field(default_factory=list)
    capacity: Capacity | None = None
    faults: list[str] = field(default_factory=list)
    effective: dict[str, Any] = field(default_factory=dict)
    started: dict[str, Any] = field(default_factory=dict)


@dataclass
class Comparison:
    """The state of a comparison; complete or not, it can be reported.

    Attributes:
        plan: What was asked for; ``plan.rate`` is 0 where the rate was to be found.
        rate: The common rate.
        floor: The forward pass alone, per framework; see `loadtest.servers.forward_pass`.
        records: One per server.
        started_at: UTC, ISO 8601.
        complete: Whether every round was run.
    """

    plan: Plan
    artifact: Artifact
    launcher: Launcher
    records: list[Record]
    rate: float = math.nan
    floor: list[ForwardPassTime] = field(default_factory=list)
    started_at: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))
    complete: bool = False


class Watcher:
    """Is told how a comparison goes on; the default tells nobody."""

    def stage(self, text: str, done: int, total: int) -> None:
        """A new stage begins."""

    def progress(self, progress: Progress) -> None:
        """A glimpse of the run under way."""

    def finished(self, comparison: Comparison) -> None:
        """A round is over: what there is so far may be saved."""


def compare(
    servers: Sequence[Server], artifact: Artifact, launcher: Launcher, plan: Plan, watcher: Watcher | None = None
) -> Comparison:
    """Run a comparison.

    A server that cannot be started, answers wrongly or fails in a round keeps its place with the fault beside it, and
    the others go on.

    Args:
        servers: Which servers.
        artifact: The model they serve.
        launcher: How they are started.
        plan: What is done.
        watcher: Who is told.

    Raises:
        UsageError: If there are fewer golden examples than instances in one request.
        LoadtestError: If no server passes the gate.
    """
    artifact.batches(plan.batch)
    watcher = watcher or Watcher()
    # Until a server has started it is not known whether it is the real one or its stand-in: its key claims neither.
    comparison = Comparison(plan, artifact, launcher, [Record(server, server.key) for server in servers])
    steps = len(servers) * (1 + plan.rounds + bool(plan.slo)) + 1
    watcher.stage("forward pass alone", 0, steps)
    comparison.floor = time_forward_passes(artifact, launcher.placement, plan.batch)
    for done, record in enumerate(comparison.records, 1):
        watcher.stage(f"{record.label}: start and parity", done, steps)
        with _noting_faults(record):
            _gate(record, comparison, watcher)
    able = [record for record in comparison.records if not record.faults]
    if not able:
        raise LoadtestError("no server could be measured:\n" + "\n".join(r.faults[0] for r in comparison.records))
    comparison.rate = plan.rate or _round_rate(RATE_SHARE * min(record.ceiling_rps for record in able))
    order = random.Random(plan.seed)
    done = len(servers) + 1
    for number in range(1, plan.rounds + 1):
        for record in order.sample(able, len(able)):
            watcher.stage(f"round {number}/{plan.rounds}: {record.label}", done, steps)
            with _noting_faults(record):
                _round(record, number, comparison, watcher)
            watcher.finished(comparison)
            done += 1
    for record in able if plan.slo else []:
        watcher.stage(f"capacity of {record.label}", done, steps)
        with _noting_faults(record):
            _capacity(record, comparison, watcher)
        watcher.finished(comparison)
        done += 1
    comparison.complete = True
    return comparison


@contextlib.contextmanager
def _noting_faults(record: Record) -> Iterator[None]:
    try:
        yield
    except LoadtestError as error:
        record.faults.append(str(error))


def _gate(record: Record, comparison: Comparison, watcher: Watcher) -> None:
    running = comparison.launcher.start(record.server)
    try:
        record.label = running.label
        record.started = running.describe()
        record.parity = check_parity(running, comparison.artifact)
        record.parity.require()
        record.effective = running.effective()
        load = Load(Closed(GATE_S), 0.5, comparison.plan.connections, seed=comparison.plan.seed)
        result, _ = _measure_once(running, load, comparison, watcher)
        record.ceiling_rps = result.throughput_rps
        if not result.tally.ok:
            record.faults.append(f"{record.server.key} answered nothing under load: {result.verdict.reasons}")
    finally:
        running.stop()


def _round(record: Record, number: int, comparison: Comparison, watcher: Watcher) -> None:
    plan = comparison.plan
    running = comparison.launcher.start(record.server)
    try:
        # Every round has a schedule of its own, and it is the same one for every server.
        seed = plan.seed * 1_000 + number
        open_load = Load(Poisson(comparison.rate, plan.duration_s), plan.warmup_s, plan.connections, seed=seed)
        open_loop, open_usage = _measure(running, open_load, comparison, watcher)
        closed_load = Load(Closed(plan.duration_s / 2), min(plan.warmup_s, 0.5), plan.connections, seed=seed)
        closed_loop, closed_usage = _measure(running, closed_load, comparison, watcher)
        curve = []
        for share in plan.curve:
            rate = _round_rate(share * record.ceiling_rps)
            load = Load(Poisson(rate, plan.duration_s / 2), min(plan.warmup_s, 0.5), plan.connections, seed=seed)
            curve.append(_measure(running, load, comparison, watcher)[0])
        first = running.first_prediction_s
        record.rounds.append(Round(number, first, open_loop, closed_loop, open_usage, closed_usage, tuple(curve)))
    finally:
        running.stop()


def _capacity(record: Record, comparison: Comparison, watcher: Watcher) -> None:
    plan = comparison.plan
    running = comparison.launcher.start(record.server)

    def run(rate: float, duration_s: float, seed: int) -> RunResult:
        load = Load(Poisson(rate, duration_s), 0.5, plan.connections, seed=seed)
        return _measure_once(running, load, comparison, watcher)[0]

    try:
        record.capacity = find_capacity(
            run, Objective.parse(plan.slo), start=record.ceiling_rps / 2, seed=plan.seed * 1_000 + 500
        )
    finally:
        running.stop()


def _measure(
    running: RunningServer, load: Load, comparison: Comparison, watcher: Watcher
) -> tuple[RunResult, Usage | None]:
    """Measure; what the client or the machine spoiled is taken again, but never a run in which a request failed."""
    told: list[str] = []
    while True:
        result, usage = _measure_once(running, load, comparison, watcher)
        if not result.spoiled or result.tally.errors or len(told) + 1 >= comparison.plan.tries:
            break
        told.append(f"{TAKEN_AGAIN}: {result.verdict.reasons[0]}")
    return replace(result, verdict=replace(result.verdict, findings=[*result.verdict.findings, *told])), usage


def _measure_once(
    running: RunningServer, load: Load, comparison: Comparison, watcher: Watcher
) -> tuple[RunResult, Usage | None]:
    placement = comparison.launcher.placement
    return measure_server(running, load, placement, batch=comparison.plan.batch, on_progress=watcher.progress)


def _round_rate(rate: float) -> float:
    """Two significant digits, rounded down, so that a rate is easy to name and to repeat."""
    if rate < 1:
        return max(rate, 0.1)
    unit = 10 ** (math.floor(math.log10(rate)) - 1)
    return float(math.floor(rate / unit) * unit)
