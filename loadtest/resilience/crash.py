"""Crash: a process of the server is killed, or told to end, while requests go on.

A worker is killed, the main process is killed, and the main process is told to end (SIGTERM), each on a server that is
started for it. Lost is a request that the server had taken and did not answer; one that finds nobody listening any more
was refused, and its client knows that it may ask another server.
"""

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import psutil

from loadtest.errors import UsageError
from loadtest.launch.launcher import Launcher, LocalLauncher
from loadtest.launch.local import HOST, LocalServer, start_local
from loadtest.load.session import PhaseResult
from loadtest.machine.ports import is_free
from loadtest.machine.process_tree import process_tree
from loadtest.records import Count, Number
from loadtest.resilience.load_beside import load_beside
from loadtest.resilience.version_witness import VersionWitness
from loadtest.servers.server_folder import Server
from loadtest.setup.probes.probe_load import together
from loadtest.wire.golden_target import rest_target

WORKER, MAIN, STOP = "a worker is killed", "the main process is killed", "the main process is told to end"
KINDS = (WORKER, MAIN, STOP)
REFUSED = ("connection_refused", "connect_failed", "http_503")
"""Kinds of errors of requests that the server did not take."""

POLL_S = 0.02
GOOD_S = 2.0
"""Every request of so many seconds has to be answered rightly before a server counts as recovered."""


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
        recovered_s: Seconds from the end of a worker until every request was answered rightly again, the longest of
            all; NaN of the main process, which nothing here starts anew.
        outage_s: The longest time after the end of a worker without a right answer; NaN of the main process.
        gone_s: Seconds until every process of the server had ended, the longest of all; infinite where one was left.
        orphans: Processes that were left, in all; they are killed afterwards.
        port_free: Whether the port was free each time after the main process had ended.
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


def crash(
    launcher: Launcher, server: Server, plan: CrashPlan, *, say: Callable[[str], None] = lambda line: None
) -> list[Crash]:
    """End processes of a server under load.

    Args:
        launcher: How it is started; one that starts processes of this machine.
        server: Which one.
        plan: How.
        say: Told what is under way.

    Returns:
        What came of each kind of end; a server of one process has no worker.

    Raises:
        UsageError: If the launcher is another one.
        LaunchError: If the server does not start.
    """
    if not isinstance(launcher, LocalLauncher):
        raise UsageError(f"processes of servers are not known with --launcher {launcher.name}: use local")
    found = []
    for ended in KINDS:
        say(ended)
        ends = [one for one in (_once(launcher, server, plan, ended) for _ in range(plan.repeats)) if one]
        if ends:
            found.append(_together(ends))
    return found


def _once(launcher: LocalLauncher, server: Server, plan: CrashPlan, ended: str) -> Crash | None:
    running = start_local(server, launcher.artifact, launcher.placement, any_port=True, timeout_s=launcher.timeout_s)
    try:
        family = process_tree(running.pid)
        victim = _victim(family, ended)
        if victim is None:
            return None
        over = threading.Event()
        end = _End(running, victim, ended, plan, over)
        golden = running.artifact.golden
        witness = VersionWitness((golden.expectation(), golden.expectation()))
        phases = load_beside(
            end.run,
            over,
            rest_target(running.url, golden),
            witness,
            rate=plan.rate,
            connections=plan.connections,
            most_s=plan.most_s + 30,
            cores=launcher.placement.client,
        )
        return _told(end, phases, witness, family, plan)
    finally:
        running.stop()


def _victim(family: Sequence[psutil.Process], ended: str) -> psutil.Process | None:
    """The main process, or the worker that holds the most memory; None where there is only the main process."""
    if ended != WORKER:
        return family[0]
    return max(family[1:], key=lambda process: process.memory_info().rss, default=None)


@dataclass
class _End:
    """Who ends a process beside the load.

    Attributes:
        at: Reading of the monotonic clock when it was ended, in seconds.
    """

    running: LocalServer
    victim: psutil.Process
    ended: str
    plan: CrashPlan
    over: threading.Event
    at: float = math.nan

    def run(self) -> None:
        """Wait, end the process, and wait until the server has recovered or ended."""
        try:
            self.over.wait(self.plan.lead_s)
            self.at = time.monotonic()
            self.victim.send_signal(signal.SIGTERM if self.ended == STOP else signal.SIGKILL)
            if self.ended == WORKER:
                self._await_answers()
            else:
                self._await_end()
        finally:
            self.over.set()

    def _await_answers(self) -> None:
        """Wait until one request after the other was answered rightly for a while."""
        deadline, good_since = self.at + self.plan.most_s, math.inf
        while (now := time.monotonic()) < deadline and now - good_since < GOOD_S:
            right = self.running.is_right(self.running.predict_example())
            good_since = min(good_since, now) if right else math.inf
            time.sleep(POLL_S)

    def _await_end(self) -> None:
        deadline = self.at + self.plan.most_s
        while time.monotonic() < deadline and not self.running.ending():
            time.sleep(POLL_S)


def _told(
    end: _End,
    phases: Sequence[PhaseResult],
    witness: VersionWitness,
    family: Sequence[psutil.Process],
    plan: CrashPlan,
) -> Crash:
    whole = together(phases)
    failed = [
        phase.began / 1e9 + window.end_s - end.at for phase in phases for window in phase.tally.windows if window.failed
    ]
    stopped = end.ended != WORKER
    right = [end.at, *(at for at, _ in witness.seen if at > end.at)]
    gaps = [(after - before, after - end.at) for before, after in pairwise(right)]
    outage_s, over_s = max(gaps, default=(math.inf, math.inf))
    gone_s, orphans = _await_gone(family, end.at, plan.most_s / 3) if stopped else (math.nan, 0)
    return Crash(
        ended=end.ended,
        repeats=1,
        requests=whole.scheduled,
        lost={kind: count for kind, count in whole.errors.items() if kind not in REFUSED},
        refused={kind: count for kind, count in whole.errors.items() if kind in REFUSED},
        wrong=whole.mismatched,
        recovered_s=math.nan if stopped else max([*failed, over_s]),
        outage_s=math.nan if stopped else outage_s,
        gone_s=gone_s,
        orphans=orphans,
        port_free=is_free(end.running.ports["rest"], HOST) if stopped else None,
    )


def _await_gone(family: Sequence[psutil.Process], since: float, timeout_s: float) -> tuple[float, int]:
    """Wait until every process has ended: seconds since a reading of the clock, and how many are left."""
    deadline = time.monotonic() + timeout_s
    while left := [process for process in family if _lives(process)]:
        if time.monotonic() > deadline:
            return math.inf, len(left)
        time.sleep(POLL_S)
    return time.monotonic() - since, 0


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _together(ends: Sequence[Crash]) -> Crash:
    return Crash(
        ended=ends[0].ended,
        repeats=len(ends),
        requests=sum(one.requests for one in ends),
        lost=dict(sum((Counter(one.lost) for one in ends), Counter())),
        refused=dict(sum((Counter(one.refused) for one in ends), Counter())),
        wrong=sum(one.wrong for one in ends),
        recovered_s=max(one.recovered_s for one in ends),
        outage_s=max(one.outage_s for one in ends),
        gone_s=max(one.gone_s for one in ends),
        orphans=sum(one.orphans for one in ends),
        port_free=None if ends[0].port_free is None else all(one.port_free for one in ends),
    )
