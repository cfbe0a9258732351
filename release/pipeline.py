"""The whole line for one model: build, parity, infra validation, comparison with what is served, latency gate, push.

It stops at the first step that does not pass; what was seen until then is in the summary, whatever ended it.
"""

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import LoadtestError
from loadtest.machine.host import describe_host
from loadtest.machine.placement import choose_placement
from loadtest.report.wording import told
from loadtest.servers.server_folder import Server
from models.errors import ModelsError
from release.blessing import write_blessing
from release.candidate import Candidate, read_candidate
from release.child_process import run_module
from release.data_digest import MEANING, data_sha256
from release.errors import ReleaseError
from release.infra_start import ProcessStart
from release.infra_validation import validate
from release.latency_gate import GateOutcome, check_limits, measure
from release.push import newest_pushed, push, why_not
from release.push_target import PushTarget, check_target, open_target
from release.summary import LEFT_OUT, PASSED, STOPPED, ReleasedModel, Step, Summary

STEPS = (
    "build",
    "parity of the exports",
    "infra validation",
    "comparison with the pushed version",
    "latency gate",
    "push",
)
FAULT = "error: "
"""How the line begins that says why a command of this project failed."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is asked of a release.

    Attributes:
        workload: Name of the model.
        target: Where to push it.
        servers: Servers that have to bless it.
        limits: Thresholds of the latency gate; without any it is left out.
        keep: Versions that stay in the target.
        max_drop: How much worse than the pushed version it may be.
        timeout_s: Seconds that a server may take to load it.
        out: Folder of the summary; a comparison goes to ``gate`` in it.
        command: As it was typed.
    """

    workload: str
    target: Path
    servers: Sequence[Server]
    limits: Sequence[str]
    keep: int
    max_drop: float
    timeout_s: float
    out: Path
    command: str

    @property
    def keys(self) -> list[str]:
        """Keys of the servers."""
        return [server.key for server in self.servers]


def begin(plan: Plan) -> Summary:
    """A summary in which nothing was reached yet; what cannot be read is said before anything is done.

    Raises:
        UsageError: If a limit cannot be read.
        TargetError: If the target is somebody else's folder.
    """
    check_target(plan.target)
    if plan.limits:
        check_limits(plan.limits, plan.workload, plan.keys)
    return Summary(
        workload=plan.workload,
        target=str(plan.target),
        command=plan.command,
        started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        host=describe_host(),
        servers=plan.keys,
        steps=[Step(name) for name in STEPS],
    )


def release(plan: Plan, summary: Summary, say: Say) -> None:
    """Go through the steps; the summary is filled as they go.

    Args:
        plan: What is asked.
        summary: Of `begin`.
        say: Told each line that a step has to tell.

    Raises:
        ReleaseError: If a step stopped it; the text says which and why.
    """
    build, parity, infra, regression, gate, pushing = (_Steps(step, say) for step in summary.steps)
    with build.taken():
        _child(build.tell, "models", "build", plan.workload)
        candidate = read_candidate(plan.workload)
        summary.model = _model(candidate)
    with parity.taken():
        summary.parity = json.loads(_child(None, "release.export_differences", str(candidate.folder.absolute())))
        worst = max(summary.parity.values())
        parity.tell(f"largest difference {worst:.2g} (allowed {candidate.artifact.tolerance:g})")
    with infra.taken():
        _bless(plan, candidate, summary, infra.tell)
    with contextlib.ExitStack() as held:
        with regression.taken():
            target = held.enter_context(open_target(plan.target, plan.workload))
            summary.already = _compare(plan, candidate, target, regression.tell)
        kept = GateOutcome()
        with gate.taken():
            if summary.already or not plan.limits:
                gate.step.outcome = LEFT_OUT
                gate.tell("nothing is to be pushed" if summary.already else "no limit was given (--assert)")
            else:
                kept = _gate(plan, candidate, summary, gate.tell)
        with pushing.taken():
            outcome = push(candidate, target, plan.keys, keep=plan.keep, max_drop=plan.max_drop, gate=lambda one: kept)
            summary.pushed = outcome.record
            pushing.tell(
                f"{'is already' if summary.already else 'as'} version {outcome.record.version}: {outcome.folder}"
            )


@dataclass(frozen=True)
class _Steps:
    """A step under way."""

    step: Step
    say: Say

    def tell(self, line: str) -> None:
        """Keep what was seen, and say it."""
        self.step.lines.append(line)
        self.say(f"  {line}")

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Time the step, and note how it ended."""
        self.say(self.step.name)
        started, self.step.outcome = time.monotonic(), STOPPED
        try:
            yield
            if self.step.outcome == STOPPED:
                self.step.outcome = PASSED
        except (ModelsError, LoadtestError) as error:
            self.step.lines.append(told(error) if isinstance(error, LoadtestError) else str(error))
            raise ReleaseError(f"stopped at {self.step.name}: {self.step.lines[-1]}") from error
        except BaseException as error:
            self.step.lines.append("interrupted" if not isinstance(error, Exception) else repr(error))
            raise
        finally:
            self.step.took_s = time.monotonic() - started


def _child(say: Say | None, *words: str) -> str:
    """Run a module of this project and return the last line of its output.

    Raises:
        ReleaseError: If it fails, with that line.
    """
    lines = [""]

    def keep(line: str) -> None:
        lines.append(line)
        if say and not line.startswith(FAULT):
            say(line.strip())

    code = run_module(*words, on_line=keep)
    if code:
        raise ReleaseError(lines[-1].removeprefix(FAULT) or f"{' '.join(words)} ended with exit code {code}")
    return lines[-1]


def _model(candidate: Candidate) -> ReleasedModel:
    manifest = candidate.artifact.manifest
    quality = manifest["quality"]
    return ReleasedModel(
        version=candidate.artifact.version,
        description=manifest["description"],
        seed=manifest["seed"],
        quality=quality["name"],
        quality_value=quality["value"],
        quality_examples=quality["examples"],
        quality_at_least=quality["at_least"],
        tolerance=candidate.artifact.tolerance,
        data_sha256=data_sha256(manifest),
        data_meaning=MEANING,
        source_sha256=manifest["source_sha256"],
        weights_sha256=candidate.artifact.weights_sha256,
        manifest_sha256=candidate.manifest_sha256,
        versions=manifest["versions"],
    )


def _bless(plan: Plan, candidate: Candidate, summary: Summary, tell: Say) -> None:
    start = ProcessStart(candidate.artifact, choose_placement(pin=True), plan.timeout_s)
    for server in plan.servers:
        verdict = validate(server, candidate, start)
        write_blessing(candidate, verdict)
        summary.blessings.append(verdict)
        tell(f"{verdict.verdict} by {verdict.label}")
    against = [f"{one.server}: {one.reasons[0]}" for one in summary.blessings if not one.blessed]
    if against:
        raise ReleaseError("; ".join(against))


def _compare(plan: Plan, candidate: Candidate, target: PushTarget, tell: Say) -> bool:
    """Hold the candidate against what was pushed last; returns whether it is that."""
    newest = newest_pushed(target)
    reasons = why_not(candidate, newest, plan.keys, plan.max_drop)
    if reasons:
        raise ReleaseError("; ".join(reasons))
    if newest is None:
        tell("nothing was pushed before")
        return False
    if newest.is_of(candidate):
        tell(f"version {newest.record.version} is this very artifact")
        return True
    before, after = (one.manifest["quality"] for one in (newest.artifact, candidate.artifact))
    tell(
        f"version {newest.record.version}: the same inputs, outputs and labels; {after['name']} {after['value']:.4f}, "
        f"before {before['value']:.4f}"
    )
    return False


def _gate(plan: Plan, candidate: Candidate, summary: Summary, tell: Say) -> GateOutcome:
    outcome = measure(plan.limits, candidate, plan.keys, plan.out / "gate")
    summary.gate, summary.gate_result = outcome.told, "gate"
    for line in outcome.told:
        tell(line)
    if outcome.reasons:
        raise ReleaseError("; ".join(outcome.reasons))
    return outcome
