"""Rollout: the next version of a model takes the place of the present one while requests go on, and back again.

Each server does it its own way, which its server.toml declares under ``[setup.hot_swap]``. Every answer is compared
with both versions' right answers to the same input, so that each is known to be of one of them, and none of both.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadtest.errors import LoadtestError, UsageError
from loadtest.experiments.parity import check_parity, require_parity
from loadtest.launch.launcher import Launcher
from loadtest.launch.running import RunningServer
from loadtest.load.session import PhaseResult
from loadtest.machine.run_folder import RunFolder
from loadtest.resilience.broken_versions import corrupt, other_model
from loadtest.resilience.canary import try_canary
from loadtest.resilience.load_beside import PHASE_S, load_beside
from loadtest.resilience.rollout_result import (
    BACK,
    CORRUPT,
    OTHER_MODEL,
    TO_NEXT,
    Rollout,
    RolloutPlan,
    RolloutStep,
)
from loadtest.resilience.version_witness import NEXT, PRESENT, VersionWitness, answers_of
from loadtest.servers.artifact import Artifact
from loadtest.servers.expectation import Golden
from loadtest.servers.server_folder import DEFAULT_WIRE, Server, fill
from loadtest.setup.declared import DeclaredSetup, DeclaredSwap, read_declared
from loadtest.setup.probes.capability import Exchange
from loadtest.setup.probes.probe_context import carry_out
from loadtest.setup.probes.probe_load import together
from loadtest.setup.scratch import ScratchCopy, scratch_copy
from loadtest.setup.scratch_start import running_on
from loadtest.wire.golden_target import rest_target

POLL_S = 0.1


def rollout(
    launcher: Launcher,
    server: Server,
    following: Artifact,
    plan: RolloutPlan,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> Rollout:
    """Try out what a server does with the next version of its model.

    Args:
        launcher: How it is started, and the present version.
        server: Which one.
        following: The next version.
        plan: How it is tried out.
        say: Told what is under way.

    Raises:
        UsageError: If the launcher starts no servers, the server declares no way, or the versions cannot be told apart.
        LoadtestError: If the server does not start, or answers one of the versions wrongly.
    """
    declared = read_declared(server)
    if declared.hot_swap is None:
        raise UsageError(f"{server.key}: its server.toml declares no way to exchange a model ([setup.hot_swap])")
    say("the next version alone")
    golden = _golden_of_both(launcher, server, following, plan.batch)
    with (
        scratch_copy(server, launcher.artifact, declared.hot_swap.change) as scratch,
        RunFolder("rollout") as broken,
        running_on(launcher, scratch) as running,
    ):
        changes = _Changes(running, scratch, declared, declared.hot_swap, golden, plan, launcher.placement.client)
        steps: list[RolloutStep] = []
        faults: list[str] = []
        try:
            for change, version in _versions(launcher.artifact, following, declared, broken):
                say(change)
                steps.append(changes.make(change, version))
        except LoadtestError as error:
            faults.append(str(error))
    say("both versions side by side")
    canary = try_canary(launcher, server, following, declared, plan) if declared.versions else None
    return Rollout(plan, declared.hot_swap.change.setting, steps, canary, faults)


def _versions(
    present: Artifact, following: Artifact, declared: DeclaredSetup, folder: Path
) -> Iterator[tuple[str, Artifact | None]]:
    """The changes in their order, each with what is laid beside the present version; nothing for the way back."""
    yield TO_NEXT, following
    yield BACK, None
    yield CORRUPT, corrupt(following, declared, folder)
    if other := other_model(present):
        yield OTHER_MODEL, other


def _golden_of_both(launcher: Launcher, server: Server, following: Artifact, batch: int) -> tuple[Golden, Golden]:
    """Right answers of both versions to the present one's golden inputs.

    Those of the next version are asked of a server that serves it alone and was found to answer it rightly.
    """
    with scratch_copy(server, following) as scratch, running_on(launcher, scratch) as alone:
        require_parity(check_parity(alone, following, [DEFAULT_WIRE]), server.key)
        return launcher.artifact.expectation(batch), answers_of(alone, launcher.artifact, batch)


@dataclass
class _Changes:
    """Makes changes to a running server while a load goes on.

    Attributes:
        laid: Where the next version lies; None while only the present one is there.
    """

    running: RunningServer
    scratch: ScratchCopy
    declared: DeclaredSetup
    how: DeclaredSwap
    golden: tuple[Golden, Golden]
    plan: RolloutPlan
    cores: tuple[int, ...]
    laid: Path | None = None

    def make(self, change: str, version: Artifact | None) -> RolloutStep:
        """Make one change under load.

        Args:
            change: Its name.
            version: What is laid beside the present version; None for the way back.
        """
        plan = self.plan
        witness = VersionWitness(self.golden)
        target = rest_target(self.running.url, self.running.artifact.golden, plan.batch)
        over = threading.Event()
        hand = _Hand(self, change, version, witness, over)
        phases = load_beside(
            hand.run,
            over,
            target,
            witness,
            rate=plan.rate,
            connections=plan.connections,
            most_s=plan.most_s + 60,
            cores=self.cores,
        )
        return _told(change, hand, witness, phases)

    def publish(self, version: Artifact) -> list[Exchange]:
        """Lay a version beside the present one and have the server take it."""
        self.laid = self.scratch.publish(self.declared.new_version, version)
        laid = Exchange("the next version is laid beside the present one", self.laid.name)
        return [laid, *self._tell(carry_out(self.running, self.how.change.requests, self.scratch))]

    def withdraw(self) -> list[Exchange]:
        """Take the next version away, and have the server take the present one."""
        if self.laid is None:
            return []
        gone = self.laid.with_name(f".{self.laid.name}.gone-{time.monotonic_ns()}")
        self.laid.rename(gone)
        taken = Exchange("the next version is taken away", self.laid.name)
        self.laid = None
        return [taken, *self._tell(carry_out(self.running, self.how.back, self.scratch))]

    def _tell(self, exchanges: list[Exchange]) -> list[Exchange]:
        if not self.how.signal:
            return exchanges
        self.running.send_signal(self.how.signal)
        return [*exchanges, Exchange("to the main process", self.how.signal)]

    def serves(self, version: str) -> bool:
        """Whether the server says that it serves a version."""
        context = self.scratch.context() | {"next": version}
        answer = self.running.probe(replace(self.how.active, path=fill(self.how.active.path, context)))
        return answer.status == 200 and fill(self.how.active.contains, context) in answer.body.decode(errors="replace")


@dataclass
class _Hand:
    """Who makes one change, beside the load.

    Attributes:
        began: Reading of the monotonic clock when the change began, in seconds.
        evidence: What was done.
        resident: Memory of the server, in MiB, at each look; the first one is before the change.
    """

    changes: _Changes
    change: str
    version: Artifact | None
    witness: VersionWitness
    over: threading.Event
    began: float = math.nan
    evidence: list[Exchange] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Wait, make the change, wait until it has come to its end and a little longer."""
        plan, changes = self.changes.plan, self.changes
        try:
            with self._watched():
                self.over.wait(plan.lead_s)
                self.began = time.monotonic()
                self.evidence += changes.publish(self.version) if self.version else changes.withdraw()
                if self.change in (TO_NEXT, BACK):
                    self._await_end()
                    self.over.wait(plan.lead_s)
                else:
                    self.over.wait(plan.hold_s)
                    changes.withdraw()
                    self._await_present()
        finally:
            self.over.set()

    @property
    def wanted(self) -> int:
        """Which version is to answer in the end."""
        return NEXT if self.change == TO_NEXT else PRESENT

    def _await_end(self) -> None:
        """Wait until no answer of the other version was seen for a second."""
        deadline = self.began + self.changes.plan.most_s
        while time.monotonic() < deadline and not self.over.wait(POLL_S):
            last = self.witness.last(1 - self.wanted, self.began) or 0.0
            quiet = time.monotonic() - self.began - last > PHASE_S
            if quiet and self.witness.first(self.wanted, self.began) is not None:
                return

    def _await_present(self) -> None:
        deadline = time.monotonic() + self.changes.plan.most_s
        while time.monotonic() < deadline and not self.changes.serves(self.changes.running.artifact.version):
            time.sleep(POLL_S)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Look at the server's memory all the while."""
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                self.resident.append(self.changes.running.usage().resident_mib)
                done.wait(3 * POLL_S)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _told(change: str, hand: _Hand, witness: VersionWitness, phases: Sequence[PhaseResult]) -> RolloutStep:
    whole = together(phases)
    first = witness.first(hand.wanted, hand.began)
    last_other = witness.last(1 - hand.wanted, hand.began)
    ends = hand.began + max(first or 0.0, last_other or 0.0)
    before = [phase for phase in phases if phase.began / 1e9 + PHASE_S <= hand.began]
    during = [phase for phase in phases if hand.began < phase.began / 1e9 + PHASE_S and phase.began / 1e9 <= ends]
    broken = change in (CORRUPT, OTHER_MODEL)
    return RolloutStep(
        change=change,
        requests=whole.scheduled,
        lost=dict(sorted(whole.errors.items())),
        mixed=whole.mismatched,
        unwanted=sum(whose == NEXT for at, whose in witness.seen) if broken else 0,
        first_s=math.nan if first is None or broken else first,
        only_s=math.nan if first is None or broken else max(first, last_other or 0.0),
        before_p99_ms=together(before).response.percentile(99) / 1e6,
        during_p99_ms=together(during).response.percentile(99) / 1e6,
        during_max_ms=together(during).response.max / 1e6 if during else math.nan,
        before_mib=hand.resident[0] if hand.resident else math.nan,
        peak_mib=max(hand.resident, default=math.nan),
        evidence=tuple(hand.evidence),
    )
