"""Holds a candidate's measured speed against limits: the thresholds of ``loadtest compare --assert``.

The result is one that is there, if it is of this very artifact, or a short comparison, made here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.experiments.surroundings import artifact_sha256
from loadtest.judge.comparison_result import comparison_name
from loadtest.machine.run_folder import RunFolder
from loadtest.report.reading import read_results
from loadtest.report.runs_file import RUNS, read_runs
from loadtest.report.thresholds import check_thresholds, read_thresholds
from release.candidate import Candidate
from release.child_process import run_module
from release.errors import ReleaseError

SHORT = ("--rounds", "2", "--no-setup", "--no-layers", "--any-port")
"""Of a comparison that gates: two rounds, so that one that a neighbour spoiled is seen, and nothing beside them."""


@dataclass(frozen=True)
class GateOutcome:
    """What became of the limits.

    Attributes:
        told: A line for each limit, kept or not.
        reasons: Those that are not kept.
        result: Folder of the result that was held against them; None where nothing was asked.
    """

    told: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    result: Path | None = None


def check_limits(limits: Sequence[str], workload: str, servers: Sequence[str]) -> list[str]:
    """Find out before anything is measured that a limit cannot be read.

    Returns:
        Keys of the servers that the limits are set on.

    Raises:
        UsageError: If one cannot be read, or names a server that is not among these.
    """
    name = comparison_name(workload, 1)
    read = read_thresholds(limits, {name: servers}, searched=True)
    return list(dict.fromkeys(one.server for one in read))


def judge(limits: Sequence[str], candidate: Candidate, result: Path) -> GateOutcome:
    """Hold a result against limits.

    Args:
        limits: Such as ``flask_server.p99<20ms``.
        candidate: The model that it has to be of.
        result: Folder of ``loadtest compare``.

    Raises:
        UsageError: If it cannot be read, or a limit asks for what was not measured.
        ReleaseError: If it is of another artifact, or does not say of which.
    """
    results = read_results(result)
    _require_same(candidate, result)
    compared = {name: [one.key for one in each.servers] for name, each in results.comparisons.items()}
    searched = any(each.plan.slo for each in results.comparisons.values())
    outcomes = check_thresholds(read_thresholds(limits, compared, searched=searched), results)
    return GateOutcome(
        told=tuple(map(str, outcomes)),
        reasons=tuple(str(one).removeprefix("FAILED: ") for one in outcomes if not one.passed),
        result=result,
    )


def measure(limits: Sequence[str], candidate: Candidate, servers: Sequence[str], out: Path) -> GateOutcome:
    """Compare the servers that the limits name, shortly, and hold the result against the limits.

    Args:
        limits: Such as ``flask_server.p99<20ms``.
        candidate: The model.
        servers: Keys of the servers that may be named.
        out: Folder for the result.

    Raises:
        UsageError: If a limit cannot be read.
        ReleaseError: If nothing could be measured.
    """
    named = check_limits(limits, candidate.artifact.workload, servers)
    with RunFolder("gate") as folder:
        beside = folder / candidate.artifact.workload / candidate.artifact.version
        beside.parent.mkdir()
        beside.symlink_to(candidate.folder.resolve())
        asked = ("--workload", candidate.artifact.workload, "--servers", ",".join(named), "--out", str(out.absolute()))
        # Exit code 1 is a fault in the result, which the limits are held against.
        run_module("loadtest", "compare", *asked, *SHORT, environment={"BAKEOFF_ARTIFACTS": str(folder)})
    try:
        return judge(limits, candidate, out)
    except UsageError as error:
        raise ReleaseError(f"nothing was measured to hold against limits: {error}") from error


def _require_same(candidate: Candidate, result: Path) -> None:
    runs = (result if result.is_dir() else result.parent) / RUNS
    if not runs.is_file():
        raise ReleaseError(f"{runs} is missing, which says of which build of the model a result is: measure again")
    measured = {one.result.workload.name: one.artifact_sha256 for one in read_runs(runs).record.comparisons.values()}
    workload = candidate.artifact.workload
    if workload not in measured:
        raise ReleaseError(f"{result} is of {', '.join(measured)}, not of {workload}")
    if measured[workload] != artifact_sha256(candidate.artifact):
        raise ReleaseError(f"{result} is of another build of {workload} than {candidate.folder}: measure again")
