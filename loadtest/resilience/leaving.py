"""Clients that leave: how much of the work on a cancelled request is still done, for nobody.

Requests that take a while are sent all at once, and each is cancelled shortly after: over HTTP its connection is reset,
over gRPC its call is cancelled. What the server's CPU then spends, as a share of what the same requests cost when they
are waited for, is work for nobody.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.errors import MeasurementError
from loadtest.launch.launcher import Launcher
from loadtest.launch.launcher import running as up
from loadtest.launch.running import RunningServer
from loadtest.load.engine import Slot
from loadtest.machine.placement import process_on
from loadtest.records import Count, Number
from loadtest.servers.server_folder import DEFAULT_WIRE, Server
from loadtest.setup.probes.large_request import calibrate
from loadtest.wire.golden_target import Target, golden_target
from loadtest.wire.kept_connection import KeptConnection

WORK_S = 0.1
"""About how long one request takes."""
WRITTEN_POLL_S = 0.001
IDLE_S, IDLE_SHARE, MOST_S = 0.5, 0.05, 60.0
"""A server is idle when it uses less than this share of a core over so many seconds; it is waited for no longer than
`MOST_S`."""


@dataclass(frozen=True)
class LeavingPlan:
    """How clients leave.

    Attributes:
        requests: Requests that are sent at once, each on a connection of its own.
        after_s: Each is cancelled so many seconds after its last byte was written.
    """

    requests: int = 16
    after_s: float = 0.01


@dataclass(frozen=True)
class Leaving:
    """What became of cancelled requests.

    Attributes:
        wire: Name of the wire format.
        instances: Instances in one request.
        plan: How clients left.
        waited_cpu_s: CPU seconds that the server spends on one request whose client waits for the answer.
        left_cpu_s: The same for one that was cancelled.
        answered: Requests that were answered before their clients left.
        right_afterwards: Whether golden example 0 was answered rightly afterwards.
        calm_after_s: Seconds until the server had done with it.
    """

    wire: str
    instances: Count
    plan: LeavingPlan
    waited_cpu_s: Number
    left_cpu_s: Number
    answered: Count
    right_afterwards: bool
    calm_after_s: Number

    @property
    def done_for_nobody(self) -> float:
        """Share of the work that is still done after the client has left."""
        return self.left_cpu_s / self.waited_cpu_s


def leaving(
    launcher: Launcher,
    server: Server,
    plan: LeavingPlan,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> list[Leaving]:
    """Cancel requests to a server that is started for it, over JSON and, where it speaks it, over gRPC.

    Args:
        launcher: How it is started, and the model that it serves.
        server: Which one.
        plan: How clients leave.
        say: Told what is under way.

    Raises:
        MeasurementError: If what the server uses is not known.
        LoadtestError: If it does not start, or does not answer a large request.
    """
    wires = [wire for wire in (DEFAULT_WIRE, "grpc") if wire in server.wires]
    with up(launcher, [server]) as (running,):
        if running.usage_if_known() is None:
            raise MeasurementError(f"{server.key}: what it uses is not known with --launcher {launcher.name}")
        instances, _ = calibrate(running, WORK_S)
        found = []
        for wire in wires:
            say(f"clients leave, {wire}")
            with process_on(launcher.placement.client):
                found.append(_over(running, wire, instances, plan))
        return found


def _over(running: RunningServer, wire: str, instances: int, plan: LeavingPlan) -> Leaving:
    artifact, url = running.artifact, running.url_over(wire)
    examples = artifact.golden.many(instances)
    target = golden_target(wire, url, artifact.workload, examples, instances, running.headers)
    _await_idle(running)  # the first requests of a wire format take longer
    asyncio.run(_Burst(target, 1, MOST_S).run())
    _await_idle(running)
    before = running.usage().cpu_s
    waited = asyncio.run(_Burst(target, plan.requests, MOST_S).run())
    _await_idle(running)
    between = running.usage().cpu_s
    if waited < plan.requests:
        raise MeasurementError(f"{running.server.key} answers {waited} of {plan.requests} large requests over {wire}")
    left = _Burst(target, plan.requests, plan.after_s)
    answered = asyncio.run(left.run())
    calm_after_s = _await_idle(running)
    spent = running.usage().cpu_s - between
    return Leaving(
        wire=wire,
        instances=instances,
        plan=plan,
        waited_cpu_s=(between - before) / plan.requests,
        left_cpu_s=spent / plan.requests,
        answered=answered,
        right_afterwards=running.is_right(running.predict_example()),
        calm_after_s=calm_after_s,
    )


class _Burst:
    """Requests that are sent all at once and waited for only so long; see `loadtest.load.engine.SlotOwner`."""

    may_pause = False

    def __init__(self, target: Target, requests: int, patience_s: float) -> None:
        self._target = target
        self._requests = requests
        self._patience_s = patience_s
        self._under_way = requests
        self._answered = 0
        self._over = asyncio.Event()

    async def run(self) -> int:
        """Send them, and leave.

        Returns:
            How many were answered rightly.
        """
        pool = self._target.pool(self._requests, asyncio.get_running_loop())
        pool.owner = self
        await pool.open()
        try:
            for slot in pool.slots:
                slot.busy = True
                slot.intended = slot.sent = time.monotonic_ns()
                slot.send(0)
                self._leave_later(slot)
            await asyncio.wait_for(self._over.wait(), MOST_S)
            await asyncio.sleep(IDLE_S)  # what was written last has to leave before the connections are closed
            return self._answered
        finally:
            pool.close()

    def _leave_later(self, slot: KeptConnection) -> None:
        """Leave so long after the last byte of the request was written."""
        loop = asyncio.get_running_loop()
        if slot.is_written:
            loop.call_later(self._patience_s, self._leave, slot)
        elif slot.busy:
            loop.call_later(WRITTEN_POLL_S, self._leave_later, slot)

    def _leave(self, slot: KeptConnection) -> None:
        if slot.busy:
            slot.leave()

    def completed(self, slot: Slot) -> None:
        """Count an answer that came in time."""
        self._answered += 1
        self._ended(slot)

    def failed(self, slot: Slot, kind: str) -> None:
        """Take note that a request has ended without one."""
        self._ended(slot)

    def _ended(self, slot: Slot) -> None:
        slot.busy = False
        self._under_way -= 1
        if not self._under_way:
            self._over.set()


def _await_idle(running: RunningServer) -> float:
    """Wait until the server has nothing to do.

    Returns:
        Seconds that it was at work.
    """
    began = time.monotonic()
    while time.monotonic() - began < MOST_S:
        before, at = running.usage().cpu_s, time.monotonic()
        time.sleep(IDLE_S)
        if running.usage().cpu_s - before < IDLE_SHARE * (time.monotonic() - at):
            return at - began
    return float("inf")
