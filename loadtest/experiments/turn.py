"""What a contender goes through in a comparison: the gate, a round, the search of its capacity.

Each begins with a fresh start of its server and ends with its end. What is measured is told as soon as it is known.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from loadtest.experiments.caching_audit import audit_caching
from loadtest.experiments.capacity_search import RunAt, find_capacity, probe_load
from loadtest.experiments.contender import Contender
from loadtest.experiments.parity import check_parity, message_bytes, require_parity
from loadtest.experiments.server_run import measure_server
from loadtest.judge.caching import Caching
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.entries import (
    CLOSED_LOOP,
    CURVE,
    GATE,
    OPEN_LOOP,
    Answers,
    Audited,
    Configured,
    Entry,
    Probed,
    RunEnded,
    Searched,
    Started,
)
from loadtest.judge.findings import GATE_FAILED, TAKEN_AGAIN, Finding
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.objective import Objective
from loadtest.judge.server_result import ServerResult
from loadtest.launch.launcher import Launcher
from loadtest.launch.launcher import running as up
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed, Poisson
from loadtest.machine.usage import Usage
from loadtest.wire.formats import asked_over

GATE_S = 4.0


@dataclass(frozen=True)
class Turn:
    """What may be done to a contender.

    Attributes:
        one: The contender.
        found: Its result so far.
        comparison: Name of the comparison.
        launcher: How its server is started, and the model that it serves.
        plan: What is done.
        keep: Told what was measured, at once; puts it into the result.
        on_progress: Called about once a second of a run.
    """

    one: Contender
    found: ServerResult
    comparison: str
    launcher: Launcher
    plan: ComparisonPlan
    keep: Callable[[Entry], None]
    on_progress: Callable[[Progress], None]

    def gate(self, *, audit: bool) -> list[Finding]:
        """Check its answers, and find how many requests it answers in a closed loop.

        Args:
            audit: Whether to look for cached answers too.

        Returns:
            Why it is not measured any further; nothing where it passes.

        Raises:
            LoadtestError: If it cannot be started, or answers wrongly.
        """
        one, plan, names = self.one, self.plan, (self.comparison, self.one.key)
        with up(self.launcher, [self.one.server]) as (running,):
            self.keep(Started(*names, running.label, running.describe()))
            parity = check_parity(running, self.launcher.artifact, [one.wire])
            self.keep(Answers(*names, parity))
            require_parity(parity, one.key)
            self.keep(Configured(*names, message_bytes(running, one.wire, plan.batch), running.effective()))
            run, usage = self._measure(running, self._load(Closed(GATE_S), plan.seed))
            self.keep(RunEnded(*names, 0, GATE, running.first_prediction_s, run.result(), usage))
            if audit:
                self.keep(Audited(*names, self._audit(running, run.throughput_rps)))
            # A client or a machine that spoils a closed loop makes it slower: the common rate is the lower for it, and
            # every server can still carry it. That is told; a server that answers wrongly or not at all is out.
            return [] if run.verdict.valid or run.spoiled else [Finding(GATE_FAILED), *run.verdict.reasons]

    def round(self, number: int) -> None:
        """Measure it at the common rate, in a closed loop and along its load curve.

        Args:
            number: Which round, from 1.

        Raises:
            LoadtestError: If it cannot be started, or ends.
        """
        plan = self.plan
        with up(self.launcher, [self.one.server]) as (running,):
            # Every round has a schedule of its own, and it is the same one for every server.
            seed = plan.seed * 1_000 + number

            def measure(part: str, schedule: Poisson | Closed, *, distribution: bool) -> None:
                run, usage = self._measure(running, self._load(schedule, seed))
                result, start_s = run.result(distribution=distribution), running.first_prediction_s
                self.keep(RunEnded(self.comparison, self.one.key, number, part, start_s, result, usage))

            measure(OPEN_LOOP, Poisson(plan.common_rate_rps, plan.duration_s), distribution=True)
            measure(CLOSED_LOOP, Closed(plan.duration_s / 2), distribution=False)
            for share in plan.curve:
                rate = two_digits(share * self.found.gate_ceiling_rps)
                measure(CURVE, Poisson(rate, plan.duration_s / 2), distribution=True)

    def capacity(self) -> None:
        """Search the highest rate that meets the plan's objective.

        Raises:
            LoadtestError: If it cannot be started, or ends.
        """
        plan = self.plan

        @contextlib.contextmanager
        def started() -> Iterator[RunAt]:
            with up(self.launcher, [self.one.server]) as (running,):
                yield lambda rate, duration_s, seed: self._measure_once(
                    running, probe_load(rate, duration_s, plan.connections, seed)
                )[0]

        names = self.comparison, self.one.key
        found = find_capacity(
            started,
            Objective.parse(plan.slo),
            start=self.found.gate_ceiling_rps / 2,
            seed=plan.seed * 1_000 + 500,
            on_probe=lambda probe: self.keep(Probed(*names, probe)),
        )
        self.keep(Searched(*names, found))

    def _audit(self, running: RunningServer, ceiling_rps: float) -> Caching | None:
        wire, plan, launcher = self.one.wire, self.plan, self.launcher
        return audit_caching(
            running.url_over(wire),
            asked_over(wire, launcher.artifact).fresh,
            launcher.placement,
            ceiling_rps=ceiling_rps,
            wire=wire,
            model=launcher.artifact.workload,
            connections=plan.connections,
            batch=plan.batch,
            headers=running.headers,
            seed=plan.seed,
            on_progress=self.on_progress,
        )

    def _load(self, schedule: Poisson | Closed, seed: int) -> Load:
        plan = self.plan
        return Load(schedule, plan.warmup_s, plan.connections, seed=seed, timeout_s=plan.timeout_s)

    def _measure(self, running: RunningServer, load: Load) -> tuple[MeasuredRun, Usage | None]:
        """Measure; what the client or the machine spoiled is taken again, but never a run in which a request failed."""
        told: list[Finding] = []
        while True:
            run, usage = self._measure_once(running, load)
            if not run.spoiled or run.tally.errors or len(told) + 1 >= self.plan.tries:
                break
            told.append(Finding(TAKEN_AGAIN, {"reason": run.verdict.reasons[0].code}))
        return replace(run, verdict=replace(run.verdict, findings=[*run.verdict.findings, *told])), usage

    def _measure_once(self, running: RunningServer, load: Load) -> tuple[MeasuredRun, Usage | None]:
        placement, wire, batch = self.launcher.placement, self.one.wire, self.plan.batch
        return measure_server(running, load, placement, wire=wire, batch=batch, on_progress=self.on_progress)


def two_digits(rate: float) -> float:
    """A rate with two significant digits, rounded down, so that it is easy to name and to repeat."""
    if rate < 1:
        return max(rate, 0.1)
    unit = 10 ** (math.floor(math.log10(rate)) - 1)
    return float(f"{math.floor(rate / unit) * unit:.2g}")
