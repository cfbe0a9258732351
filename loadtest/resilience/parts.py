"""The parts of the resilience of a server, each of which can be tried out alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from loadtest.errors import UsageError
from loadtest.launch.launcher import Launcher
from loadtest.launch.launcher import running as up
from loadtest.load.clients import Progress
from loadtest.resilience.crash import CrashPlan, crash
from loadtest.resilience.hostile.run import run_hostile
from loadtest.resilience.hostile.table import HTTP, WIRES, hostile_table
from loadtest.resilience.leaving import LeavingPlan, leaving
from loadtest.resilience.overload import OverloadPlan, overload
from loadtest.resilience.rollout import rollout
from loadtest.resilience.rollout_result import RolloutPlan
from loadtest.servers.artifact import Artifact, artifacts_root, built_workloads, load_artifact
from loadtest.servers.server_folder import Server

NEXT = "next"
"""Folder, in that of the artifacts, where ``python -m models build --next`` puts the version that follows."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plans:
    """How each part is tried out."""

    overload: OverloadPlan = field(default_factory=OverloadPlan)
    rollout: RolloutPlan = field(default_factory=RolloutPlan)
    crash: CrashPlan = field(default_factory=CrashPlan)
    leave: LeavingPlan = field(default_factory=LeavingPlan)

    @classmethod
    def quick(cls) -> "Plans":
        """Short forms, for a first look and for tests of this program: every figure rests on fewer requests."""
        return cls(
            OverloadPlan(factors=(0.5, 1.0, 3.0), level_s=2.0, ceiling_s=1.0, most_loops=2),
            RolloutPlan(rate=50.0, lead_s=1.0, hold_s=3.0),
            CrashPlan(rate=50.0, lead_s=1.0, repeats=1),
            LeavingPlan(requests=8),
        )


@dataclass(frozen=True)
class Trial:
    """What a part is tried out with.

    Attributes:
        launcher: How servers are started, and the present version of the model.
        following: The next version; None where no part needs it.
        plans: How.
        say: Told what is under way.
        on_progress: Called about once a second of a load.
    """

    launcher: Launcher
    following: Artifact | None
    plans: Plans
    say: Say = lambda line: None
    on_progress: Callable[[Progress], None] = lambda progress: None


def _overload(trial: Trial, server: Server) -> object:
    return overload(trial.launcher, server, trial.plans.overload, say=trial.say, on_progress=trial.on_progress)


def _rollout(trial: Trial, server: Server) -> object:
    if trial.following is None:
        raise UsageError("a rollout needs the next version of the model")
    return rollout(trial.launcher, server, trial.following, trial.plans.rollout, say=trial.say)


def _crash(trial: Trial, server: Server) -> object:
    return crash(trial.launcher, server, trial.plans.crash, say=trial.say)


def _leave(trial: Trial, server: Server) -> object:
    return leaving(trial.launcher, server, trial.plans.leave, say=trial.say)


def _hostile(trial: Trial, server: Server) -> object:
    """A part of the table over each wire; `loadtest hostile` sends all of it."""
    found = []
    for wire in (wire for wire in WIRES if wire == HTTP or wire in server.wires):
        with up(trial.launcher, [server]) as (running,):
            table = hostile_table(running, wire, quick=True)
            restart = partial(trial.launcher.start, server)
            found.append(run_hostile(running, wire, table, restart=restart, show=trial.say))
    return found


PARTS: dict[str, Callable[[Trial, Server], object]] = {
    "overload": _overload,
    "rollout": _rollout,
    "crash": _crash,
    "leave": _leave,
    "hostile": _hostile,
}
"""By name, in the order in which they are tried out; each is a field of `Resilience`."""


def next_version(workload: str) -> Artifact:
    """The version of a model that follows the present one.

    Raises:
        UsageError: If it was not built.
    """
    root = artifacts_root() / NEXT
    if workload not in built_workloads(root):
        raise UsageError(f"a rollout needs the next version of {workload}: python -m models build {workload} --next")
    return load_artifact(workload, root)
