"""Crash: a process of the server is killed, told to end, or runs out of memory while requests go on.

A worker is killed, the main process is killed, the main process is told to end (SIGTERM), and in a container the memory
limit is reached, each on a server that is started for it. Lost is a request that the server had taken and did not
answer; one that finds nobody listening any more was refused, and its client knows that it may ask another server.
"""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loadtest.launch.launcher import Launcher
from loadtest.launch.local import HOST
from loadtest.load.session import PhaseResult
from loadtest.machine.ports import is_free
from loadtest.records import Count, Number
from loadtest.resilience.load_beside import load_beside
from loadtest.resilience.lost_requests import lost_and_refused
from loadtest.resilience.process_end import KINDS, ProcessEnd
from loadtest.resilience.version_witness import VersionWitness
from loadtest.servers.server_folder import Server
from loadtest.setup.probes.probe_load import together
from loadtest.setup.scratch import ScratchCopy, scratch_copy
from loadtest.setup.scratch_start import running_on
from loadtest.wire.golden_target import rest_target


@dataclass(frozen=True)
class CrashPlan:
    """How processes of a server are ended.

    Attributes:
        rate: Requests per second all the while, as a Poisson process.
        connections: Connections of the client.
        lead_s: Seconds of load before.
        most_s: How long a server is given to recover, or to end.
        repeats: How often each is done; losses add up.
    """

    rate: float = 100.0
    connections: int = 16
    lead_s: float = 2.0
    most_s: float = 30.0
    repeats: int = 3


@dataclass(frozen=True)
class Crash:
    """What came of one kind of end, all its repetitions together.

    Attributes:
        ended: What was ended.
        repeats: How often.
        requests: Requests of all of it.
        lost: Those that the server had taken and did not answer, by kind.
        refused: Those that it did not take, by kind.
        wrong: Answers that were wrong.
        recovered_s: Seconds from the end of a process until every request was answered rightly again, the longest of
            all; NaN where nothing starts it anew, as a main process on this machine or a server that was told to end.
        outage_s: The longest time after it without a right answer; NaN likewise.
        gone_s: Seconds until every process of the server had ended, the longest of all; infinite where one was left,
            NaN where the server came back.
        orphans: Processes that were left, in all; they are killed afterwards.
        port_free: Whether the port was free each time after the main process had ended; None of a container.
        held: In how many of the times no process ended, although the memory limit was reached.
    """

    ended: str
    repeats: Count
    requests: Count
    lost: dict[str, Count]
    refused: dict[str, Count]
    wrong: Count
    recovered_s: Number
    outage_s: Number
    gone_s: Number
    orphans: Count
    port_free: bool | None
    held: Count = 0


def crash(
    launcher: Launcher, server: Server, plan: CrashPlan, *, say: Callable[[str], None] = lambda line: None
) -> list[Crash]:
    """End processes of a server under load.

    Args:
        launcher: How it is started.
        server: Which one.
        plan: How.
        say: Told what is under way.

    Returns:
        What came of each kind of end; a server of one process has no worker, and a process of this machine no limit.

    Raises:
        UsageError: If the launcher starts no servers, or their processes are not known.
        LaunchError: If the server does not start.
    """
    found = []
    with scratch_copy(server, launcher.artifact) as scratch:
        for ended in KINDS:
            say(ended)
            ends: list[Crash] = []
            while len(ends) < plan.repeats and (one := _once(launcher, scratch, plan, ended)):
                ends.append(one)
            if ends:
                found.append(_together(ends))
    return found


def _once(launcher: Launcher, scratch: ScratchCopy, plan: CrashPlan, ended: str) -> Crash | None:
    with running_on(launcher, scratch) as running:
        over = threading.Event()
        end = ProcessEnd(running, ended, plan.lead_s, plan.most_s, over)
        if not end.possible:
            return None
        golden = running.artifact.golden
        witness = VersionWitness((golden.expectation(), golden.expectation()))
        phases = load_beside(
            end.run,
            over,
            rest_target(running.url, golden),
            witness,
            rate=plan.rate,
            connections=plan.connections,
            most_s=2 * plan.most_s + 30,
            cores=launcher.placement.client,
        )
        return _told(end, phases, witness)


def _told(end: ProcessEnd, phases: Sequence[PhaseResult], witness: VersionWitness) -> Crash:
    whole = together(phases)
    lost, refused = lost_and_refused(whole.errors)
    failed = [
        phase.began / 1e9 + window.end_s - end.at for phase in phases for window in phase.tally.windows if window.failed
    ]
    right = [end.at, *(at for at, _ in witness.seen if at > end.at)]
    gaps = [(after - before, after - end.at) for before, after in pairwise(right)]
    outage_s, over_s = max(gaps, default=(math.inf, math.inf))
    held = math.isnan(end.at)
    timed = end.comes_back and not held
    return Crash(
        ended=end.ended,
        repeats=1,
        requests=whole.scheduled,
        lost=lost,
        refused=refused,
        wrong=whole.mismatched,
        recovered_s=max([*failed, over_s]) if timed else math.nan,
        outage_s=outage_s if timed else math.nan,
        gone_s=end.gone_s,
        orphans=end.orphans,
        port_free=None if end.comes_back or end.running.supervised else is_free(end.running.ports["rest"], HOST),
        held=int(held),
    )


def _together(ends: Sequence[Crash]) -> Crash:
    return Crash(
        ended=ends[0].ended,
        repeats=len(ends),
        requests=sum(one.requests for one in ends),
        lost=dict(sum((Counter(one.lost) for one in ends), Counter())),
        refused=dict(sum((Counter(one.refused) for one in ends), Counter())),
        wrong=sum(one.wrong for one in ends),
        recovered_s=_longest(one.recovered_s for one in ends),
        outage_s=_longest(one.outage_s for one in ends),
        gone_s=_longest(one.gone_s for one in ends),
        orphans=sum(one.orphans for one in ends),
        port_free=None if ends[0].port_free is None else all(one.port_free for one in ends),
        held=sum(one.held for one in ends),
    )


def _longest(times: Iterable[float]) -> float:
    """The longest of those that are known."""
    return max((one for one in times if not math.isnan(one)), default=math.nan)
