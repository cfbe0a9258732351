"""The comparison: parity gate, then rounds in a seeded order, one server alive and under load at a time.

Every round starts the server anew. So the rounds are independent of each other, the time to the first correct
prediction is measured in each of them, and no idle neighbour takes CPU from the server under load.
"""

import datetime
import functools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from loadtest.errors import LoadtestError, MeasurementError, StorageError, UsageError
from loadtest.experiments.contender import Contender
from loadtest.experiments.layer_run import break_down
from loadtest.experiments.surroundings import artifact_sha256
from loadtest.experiments.turn import Turn, two_digits
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_record import ComparisonRecord
from loadtest.judge.comparison_result import ComparisonResult, MeasuredWorkload
from loadtest.judge.entries import (
    CAPACITY,
    GATE,
    LAYERS,
    ROUND,
    Begun,
    Ended,
    Entry,
    ForwardPasses,
    Layered,
    Planned,
    TurnEnded,
)
from loadtest.judge.findings import Finding, failure
from loadtest.judge.method import METHOD
from loadtest.judge.server_result import ServerResult
from loadtest.launch.launcher import LOCAL, Launcher
from loadtest.load.clients import Progress
from loadtest.machine.host import describe_host
from loadtest.servers.artifact import Artifact
from loadtest.servers.forward_pass import time_forward_passes
from loadtest.wire.formats import asked_over, check_takes, find_wire

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

    def measured(self, entry: Entry) -> None:
        """Something was measured, or is known now: it may be kept. What this raises ends the comparison."""

    def finished(self, result: ComparisonResult) -> None:
        """A contender's turn, or all of it, is over: this is what there is so far."""


def compare(
    entered: Sequence[Contender],
    launcher: Launcher,
    plan: ComparisonPlan,
    watcher: Watcher | None = None,
    command: Sequence[str] = (),
    earlier: ComparisonRecord | None = None,
) -> ComparisonResult:
    """Run a comparison, or go on with one.

    A server that cannot be started, answers wrongly or fails in a round keeps its place with the fault beside it, and
    the others go on.

    Args:
        entered: Which servers, each over which wire format.
        launcher: How they are started, and the model that they serve.
        plan: What is done.
        watcher: Who is told.
        command: Arguments of the command, for the result.
        earlier: What an earlier sitting measured: no turn that it ended is taken again, and the order of the others is
            what it would have been.

    Raises:
        UsageError: If the model takes no request of so many instances, has too few inputs for one, or cannot be asked
            in a wire format, or where some wire formats carry tensors and others pictures, or where the earlier sitting
            was with another model or on other cores.
        MeasurementError: If no server passes the gate.
    """
    for one in entered:
        check_takes(one.wire, launcher.artifact, plan.batch)
        if find_wire(one.wire).pictures != plan.pictures:
            raise UsageError(f"{one.wire} and the other wire formats do not carry the same inputs: compare them apart")
        check_batch(asked_over(one.wire, launcher.artifact), plan.batch)
    watcher, digest = watcher or Watcher(), artifact_sha256(launcher.artifact)
    if earlier is not None:
        _require_same(earlier, launcher, digest)
        return _Sitting(entered, launcher, earlier, watcher).run()
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
    watcher.measured(Begun(result, digest))
    return _Sitting(entered, launcher, ComparisonRecord(result, digest), watcher).run()


def _require_same(earlier: ComparisonRecord, launcher: Launcher, digest: str) -> None:
    """What one command measured is of one model, on the same cores."""
    result = earlier.result
    if earlier.artifact_sha256 != digest:
        raise UsageError(
            f"{result.name} was begun with another build of the model {result.workload.name}: put that back, or "
            "measure anew"
        )
    if result.placement != launcher.placement:
        raise UsageError(
            f"{result.name} was begun with the server on cores {list(result.placement.server)} and the client on "
            f"{list(result.placement.client)}, which are now {list(launcher.placement.server)} and "
            f"{list(launcher.placement.client)}: measure anew"
        )


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
        self, entered: Sequence[Contender], launcher: Launcher, record: ComparisonRecord, watcher: Watcher
    ) -> None:
        self._launcher, self._record, self._watcher = launcher, record, watcher
        self._result = result = record.result
        self._pairs = list(zip(entered, result.servers, strict=True))
        plan = result.plan
        self._layers = plan.layers and launcher.name == LOCAL
        self._steps = len(entered) * (1 + plan.rounds + bool(plan.slo) + self._layers) + 1
        self._done = 0
        self._began, self._before_s = time.monotonic(), record.elapsed_s

    def run(self) -> ComparisonResult:
        result, record, name = self._result, self._record, self._result.name
        self._stage("forward pass alone")
        if not record.timed:
            artifact, placement = self._launcher.artifact, self._launcher.placement
            self._keep(ForwardPasses(name, time_forward_passes(artifact, placement, result.plan.batch)))
        for one, found in self._pairs:
            # Whether a server caches does not depend on the wire format.
            audit = result.plan.audit and self._is_first_of_server(found)
            gate = functools.partial(self._turn(one, found).gate, audit=audit)
            self._take(GATE, found, f"{self._named(found)}: start and parity", gate)
        able = [(one, found) for one, found in self._pairs if not record.faults_at_gate(found.key)]
        if not able:
            raise MeasurementError("no server could be measured", [found.faults[0] for _, found in self._pairs])
        if not result.plan.common_rate_rps > 0:
            self._keep(Planned(name, self._at_common_rate([found for _, found in able])))
        self._watcher.planned(result, len(able))
        self._rounds(able)
        for one, found in able if result.plan.slo else []:
            self._take(CAPACITY, found, f"capacity of {self._named(found)}", self._turn(one, found).capacity)
        for one, found in able if self._layers else []:
            text = f"CPU time of {self._named(found)}, layer by layer"
            self._take(LAYERS, found, text, functools.partial(self._break_down, one))
        if not result.complete:
            limits = result.plan.limits
            reached = limits.until.reached(record.summarise().summary) if limits.until else None
            self._keep(Ended(name, reached, self._elapsed_s))
        self._watcher.finished(record.summarise())
        return result

    def _at_common_rate(self, able: Sequence[ServerResult]) -> ComparisonPlan:
        plan, slowest = self._result.plan, min(found.gate_ceiling_rps for found in able)
        try:
            return plan.at_rate(plan.rate or two_digits(RATE_SHARE * slowest), slowest)
        except UsageError as error:  # no arguments are wrong for every model: the others of a result go on
            raise MeasurementError(str(error)) from error

    def _rounds(self, able: Sequence[tuple[Contender, ServerResult]]) -> None:
        result, record = self._result, self._record
        order = random.Random(result.plan.seed)
        began, before_s = time.monotonic(), record.rounds_s
        limits, number, begun = result.plan.limits, 0, record.rounds_begun
        while number < begun or not limits.over(
            number, before_s + time.monotonic() - began, record.summarise().summary
        ):
            number += 1
            if number > result.plan.rounds:
                self._steps += len(able)
                self._keep(Planned(result.name, replace(result.plan, rounds=number)))
            # What an earlier sitting has measured is drawn too: so the order of the rest is what it would have been.
            for one, found in order.sample(able, len(able)):
                text = f"round {number}/{max(result.plan.rounds, number)}: {self._named(found)}"
                self._take(ROUND, found, text, functools.partial(self._turn(one, found).round, number), number)

    def _take(
        self, stage: str, found: ServerResult, text: str, do: Callable[[], list[Finding] | None], number: int = 0
    ) -> None:
        """Let a contender take a turn, unless it has taken it in an earlier sitting; its faults are noted."""
        self._stage(text)
        if self._record.has_ended(stage, found.key, number):
            return
        began = time.monotonic()
        try:
            faults = do() or []
        except StorageError:
            raise
        except LoadtestError as error:
            faults = list(failure(error))
        took_s = time.monotonic() - began
        self._keep(TurnEnded(self._result.name, found.key, stage, number, faults, took_s, self._elapsed_s))
        self._watcher.finished(self._record.summarise())

    def _keep(self, entry: Entry) -> None:
        """First on the disk, then in the result."""
        self._watcher.measured(entry)
        self._record.take(entry)

    def _break_down(self, one: Contender) -> None:
        found = break_down(one, self._launcher, self._result.plan, on_progress=self._watcher.progress)
        self._keep(Layered(self._result.name, one.key, found))

    def _named(self, found: ServerResult) -> str:
        return self._result.names[found.key]

    def _stage(self, text: str) -> None:
        self._watcher.stage(text, self._done, self._steps)
        self._done += 1

    @property
    def _elapsed_s(self) -> float:
        return self._before_s + time.monotonic() - self._began

    def _turn(self, one: Contender, found: ServerResult) -> Turn:
        return Turn(
            one, found, self._result.name, self._launcher, self._result.plan, self._keep, self._watcher.progress
        )

    def _is_first_of_server(self, found: ServerResult) -> bool:
        return self._result.over(found.server_key)[0] is found
