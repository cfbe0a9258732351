"""The comparison: parity gate, then rounds in a seeded order, one server alive and under load at a time.

Every round starts the server anew. So the rounds are independent of each other, the time to the first correct
prediction is measured in each of them, and no idle neighbour takes CPU from the server under load.
"""

import contextlib
import datetime
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from loadtest.errors import LoadtestError, MeasurementError, UsageError
from loadtest.experiments.caching_audit import audit_caching
from loadtest.experiments.capacity_search import RunAt, find_capacity, probe_load
from loadtest.experiments.contender import Contender
from loadtest.experiments.layer_run import break_down
from loadtest.experiments.parity import check_parity, message_bytes, require_parity
from loadtest.experiments.server_run import measure_server
from loadtest.judge.caching import Caching
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult, MeasuredWorkload
from loadtest.judge.findings import GATE_FAILED, TAKEN_AGAIN, Finding, failure
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.method import METHOD
from loadtest.judge.objective import Objective
from loadtest.judge.server_result import Round, ServerResult
from loadtest.judge.summary import ratios, summarise
from loadtest.launch.launcher import LOCAL, Launcher
from loadtest.launch.running import RunningServer
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed, Poisson
from loadtest.machine.host import describe_host
from loadtest.machine.usage import Usage
from loadtest.servers.artifact import Artifact
from loadtest.servers.forward_pass import time_forward_passes
from loadtest.servers.server_folder import Server
from loadtest.wire.formats import asked_over, check_takes, find_wire

GATE_S = 4.0
RATE_SHARE = 0.5
"""The common rate is this share of the slowest server's ceiling: every server can carry it."""


class Watcher:
    """Is told how a comparison goes on; the default tells nobody."""

    def stage(self, text: str, done: int, total: int) -> None:
        """A new stage begins."""

    def progress(self, progress: Progress) -> None:
        """A glimpse of the run under way."""

    def planned(self, result: ComparisonResult, servers: int) -> None:
        """The gate is passed by so many servers: the common rate is known, and how long each run has to be."""

    def finished(self, result: ComparisonResult) -> None:
        """A round, or all of it, is over: what there is so far may be saved."""


def compare(
    entered: Sequence[Contender],
    launcher: Launcher,
    plan: ComparisonPlan,
    watcher: Watcher | None = None,
    command: Sequence[str] = (),
) -> ComparisonResult:
    """Run a comparison.

    A server that cannot be started, answers wrongly or fails in a round keeps its place with the fault beside it, and
    the others go on.

    Args:
        entered: Which servers, each over which wire format.
        launcher: How they are started, and the model that they serve.
        plan: What is done.
        watcher: Who is told.
        command: Arguments of the command, for the result.

    Raises:
        UsageError: If the model takes no request of so many instances, has too few inputs for one, or cannot be asked
            in a wire format, or where some wire formats carry tensors and others pictures.
        MeasurementError: If no server passes the gate.
    """
    for one in entered:
        check_takes(one.wire, launcher.artifact, plan.batch)
        if find_wire(one.wire).pictures != plan.pictures:
            raise UsageError(f"{one.wire} and the other wire formats do not carry the same inputs: compare them apart")
        check_batch(asked_over(one.wire, launcher.artifact), plan.batch)
    result = ComparisonResult(
        started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=list(command),
        plan=plan,
        host=describe_host(),
        launcher=launcher.describe(),
        placement=launcher.placement,
        workload=_workload(launcher.artifact),
        forward_pass=[],
        servers=[one.no_result() for one in entered],
        method=METHOD,
    )
    return _Sitting(entered, launcher, result, watcher or Watcher()).run()


def check_batch(artifact: Artifact, batch: int) -> None:
    """Know before minutes of work that requests of this size cannot be made.

    Raises:
        UsageError: If the model takes no request of so many instances, or has too few inputs for one.
    """
    if batch > artifact.max_instances:
        raise UsageError(
            f"{artifact.workload} takes {artifact.max_instances:,} instances in one request at most, not {batch:,}"
        )
    for examples in (artifact.load, artifact.fresh):
        examples.batches(batch)


def _workload(artifact: Artifact) -> MeasuredWorkload:
    manifest = artifact.manifest
    return MeasuredWorkload(
        name=artifact.workload,
        version=artifact.version,
        quality=manifest["quality"]["name"],
        quality_value=manifest["quality"]["value"],
        seed=manifest["seed"],
        tolerance=artifact.tolerance,
        torch_form=manifest.get("torch_form"),
        versions=manifest["versions"],
        weights_sha256=artifact.weights_sha256,
    )


class _Sitting:
    """A comparison under way."""

    def __init__(
        self, entered: Sequence[Contender], launcher: Launcher, result: ComparisonResult, watcher: Watcher
    ) -> None:
        self._launcher, self._result, self._watcher = launcher, result, watcher
        self._pairs = list(zip(entered, result.servers, strict=True))
        plan = result.plan
        self._layers = plan.layers and launcher.name == LOCAL
        self._steps = len(entered) * (1 + plan.rounds + bool(plan.slo) + self._layers) + 1
        self._done = 0
        self._began = time.monotonic()

    def run(self) -> ComparisonResult:
        result, plan = self._result, self._result.plan
        self._stage("forward pass alone")
        result.forward_pass = time_forward_passes(self._launcher.artifact, self._launcher.placement, plan.batch)
        for one, found in self._pairs:
            self._stage(f"{self._named(found)}: start and parity")
            with _noting_faults(found):
                self._gate(one, found)
        able = [(one, found) for one, found in self._pairs if not found.faults]
        if not able:
            raise MeasurementError("no server could be measured", [found.faults[0] for _, found in self._pairs])
        slowest = min(found.gate_ceiling_rps for _, found in able)
        try:
            result.plan = plan.at_rate(plan.rate or _two_digits(RATE_SHARE * slowest), slowest)
        except UsageError as error:  # no arguments are wrong for every model: the others of a result go on
            raise MeasurementError(str(error)) from error
        self._watcher.planned(result, len(able))
        self._rounds(able)
        for one, found in able if plan.slo else []:
            self._stage(f"capacity of {self._named(found)}")
            with _noting_faults(found):
                self._capacity(one, found)
            self._save()
        for one, found in able if self._layers else []:
            self._stage(f"CPU time of {self._named(found)}, layer by layer")
            found.breakdown = break_down(one, self._launcher, plan, on_progress=self._watcher.progress)
            self._save()
        result.complete = True
        self._save()
        return result

    def _rounds(self, able: Sequence[tuple[Contender, ServerResult]]) -> None:
        result, plan = self._result, self._result.plan
        order = random.Random(plan.seed)
        began = time.monotonic()
        limits, number = plan.limits, 0
        while not limits.over(number, time.monotonic() - began, result.summary):
            number += 1
            if number > plan.rounds:
                self._steps += len(able)
                result.plan = replace(result.plan, rounds=number)
            for one, found in order.sample(able, len(able)):
                self._stage(f"round {number}/{max(plan.rounds, number)}: {self._named(found)}")
                with _noting_faults(found):
                    self._round(one, found, number)
                self._save()
        if limits.until:
            result.until_reached = limits.until.reached(result.summary)

    def _named(self, found: ServerResult) -> str:
        return self._result.names[found.key]

    def _stage(self, text: str) -> None:
        self._watcher.stage(text, self._done, self._steps)
        self._done += 1

    def _save(self) -> None:
        self._result.summary = summarise(self._result.servers, self._result.plan.batch)
        self._result.ratios = ratios(self._result.servers)
        self._result.took_s = time.monotonic() - self._began
        self._watcher.finished(self._result)

    def _gate(self, one: Contender, found: ServerResult) -> None:
        plan = self._result.plan
        with self._started(one.server) as running:
            found.label = running.label
            found.started = running.describe()
            found.parity = check_parity(running, self._launcher.artifact, [one.wire])
            require_parity(found.parity, one.key)
            found.message = message_bytes(running, one.wire, plan.batch)
            found.effective = running.effective()
            run, _ = self._measure(one, running, self._load(Closed(GATE_S), plan.seed))
            found.gate, found.gate_ceiling_rps = run.result(), run.throughput_rps
            if plan.audit and self._is_first_of_server(found):  # whether it caches does not depend on the format
                found.caching = self._audit(one, running, found.gate_ceiling_rps)
            # A client or a machine that spoils a closed loop makes it slower: the common rate is the lower for it, and
            # every server can still carry it. That is told; a server that answers wrongly or not at all is out.
            if not (run.verdict.valid or run.spoiled):
                found.faults += [Finding(GATE_FAILED), *run.verdict.reasons]

    def _is_first_of_server(self, found: ServerResult) -> bool:
        return self._result.over(found.server_key)[0] is found

    def _audit(self, one: Contender, running: RunningServer, ceiling_rps: float) -> Caching | None:
        plan, launcher = self._result.plan, self._launcher
        return audit_caching(
            running.url_over(one.wire),
            asked_over(one.wire, launcher.artifact).fresh,
            launcher.placement,
            ceiling_rps=ceiling_rps,
            wire=one.wire,
            model=launcher.artifact.workload,
            connections=plan.connections,
            batch=plan.batch,
            seed=plan.seed,
            on_progress=self._watcher.progress,
        )

    def _round(self, one: Contender, found: ServerResult, number: int) -> None:
        plan = self._result.plan
        with self._started(one.server) as running:
            # Every round has a schedule of its own, and it is the same one for every server.
            seed = plan.seed * 1_000 + number
            open_load = self._load(Poisson(plan.common_rate_rps, plan.duration_s), seed)
            open_loop, open_usage = self._measure(one, running, open_load)
            closed_loop, closed_usage = self._measure(one, running, self._load(Closed(plan.duration_s / 2), seed))
            curve = []
            for share in plan.curve:
                rate = _two_digits(share * found.gate_ceiling_rps)
                load = self._load(Poisson(rate, plan.duration_s / 2), seed)
                curve.append(self._measure(one, running, load)[0].result(distribution=True))
            found.rounds.append(
                Round(
                    number,
                    running.first_prediction_s,
                    open_loop.result(distribution=True),
                    closed_loop.result(),
                    open_usage,
                    closed_usage,
                    curve,
                )
            )

    def _load(self, schedule: Poisson | Closed, seed: int) -> Load:
        plan = self._result.plan
        return Load(schedule, plan.warmup_s, plan.connections, seed=seed, timeout_s=plan.timeout_s)

    def _capacity(self, one: Contender, found: ServerResult) -> None:
        plan = self._result.plan

        @contextlib.contextmanager
        def started() -> Iterator[RunAt]:
            with self._started(one.server) as running:
                yield lambda rate, duration_s, seed: self._measure_once(
                    one, running, probe_load(rate, duration_s, plan.connections, seed)
                )[0]

        objective, start = Objective.parse(plan.slo), found.gate_ceiling_rps / 2
        found.capacity = find_capacity(started, objective, start=start, seed=plan.seed * 1_000 + 500)

    @contextlib.contextmanager
    def _started(self, server: Server) -> Iterator[RunningServer]:
        running = self._launcher.start(server)
        try:
            yield running
        finally:
            running.stop()

    def _measure(self, one: Contender, running: RunningServer, load: Load) -> tuple[MeasuredRun, Usage | None]:
        """Measure; what the client or the machine spoiled is taken again, but never a run in which a request failed."""
        told: list[Finding] = []
        while True:
            run, usage = self._measure_once(one, running, load)
            if not run.spoiled or run.tally.errors or len(told) + 1 >= self._result.plan.tries:
                break
            told.append(Finding(TAKEN_AGAIN, {"reason": run.verdict.reasons[0].code}))
        return replace(run, verdict=replace(run.verdict, findings=[*run.verdict.findings, *told])), usage

    def _measure_once(self, one: Contender, running: RunningServer, load: Load) -> tuple[MeasuredRun, Usage | None]:
        placement, batch = self._launcher.placement, self._result.plan.batch
        return measure_server(running, load, placement, wire=one.wire, batch=batch, on_progress=self._watcher.progress)


@contextlib.contextmanager
def _noting_faults(found: ServerResult) -> Iterator[None]:
    try:
        yield
    except LoadtestError as error:
        found.faults += failure(error)


def _two_digits(rate: float) -> float:
    """A rate with two significant digits, rounded down, so that it is easy to name and to repeat."""
    if rate < 1:
        return max(rate, 0.1)
    unit = 10 ** (math.floor(math.log10(rate)) - 1)
    return float(f"{math.floor(rate / unit) * unit:.2g}")
