"""The comparison: parity gate, then rounds in a seeded order, one server alive and under load at a time.

Every round starts the server anew. So the rounds are independent of each other, the time to the first correct
prediction is measured in each of them, and no idle neighbour takes CPU from the server under load.
"""

import contextlib
import datetime
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from loadtest.errors import LoadtestError, MeasurementError, UsageError
from loadtest.experiments.contender import Contender
from loadtest.experiments.layer_run import break_down
from loadtest.experiments.turn import Turn, two_digits
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult, MeasuredWorkload
from loadtest.judge.findings import failure
from loadtest.judge.method import METHOD
from loadtest.judge.server_result import ServerResult
from loadtest.judge.summary import ratios, summarise
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
                # Whether a server caches does not depend on the wire format.
                self._turn(one, found).gate(audit=plan.audit and self._is_first_of_server(found))
        able = [(one, found) for one, found in self._pairs if not found.faults]
        if not able:
            raise MeasurementError("no server could be measured", [found.faults[0] for _, found in self._pairs])
        slowest = min(found.gate_ceiling_rps for _, found in able)
        try:
            result.plan = plan.at_rate(plan.rate or two_digits(RATE_SHARE * slowest), slowest)
        except UsageError as error:  # no arguments are wrong for every model: the others of a result go on
            raise MeasurementError(str(error)) from error
        self._watcher.planned(result, len(able))
        self._rounds(able)
        for one, found in able if plan.slo else []:
            self._stage(f"capacity of {self._named(found)}")
            with _noting_faults(found):
                self._turn(one, found).capacity()
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
                    self._turn(one, found).round(number)
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

    def _turn(self, one: Contender, found: ServerResult) -> Turn:
        return Turn(one, found, self._launcher, self._result.plan, self._watcher.progress)

    def _is_first_of_server(self, found: ServerResult) -> bool:
        return self._result.over(found.server_key)[0] is found


@contextlib.contextmanager
def _noting_faults(found: ServerResult) -> Iterator[None]:
    try:
        yield
    except LoadtestError as error:
        found.faults += failure(error)
