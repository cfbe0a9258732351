"""One client process: drives the engine over real connections by the real clock."""

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadtest.load.engine import Engine, Slot, SlotOwner
from loadtest.load.recorder import Recorder, Tally
from loadtest.load.schedule import Closed, Schedule
from loadtest.load.timer import FdTimer, LoopTimer, make_timer

HOUSEKEEPING_S = 0.05


class Pool(Protocol):
    """The connections of one process to one target; each wire format has its own.

    Attributes:
        owner: Told what becomes of the slots' requests; the session sets it anew for each phase.
    """

    owner: SlotOwner

    @property
    def slots(self) -> Sequence[Slot]:
        """The connections, one request at a time on each."""

    async def open(self) -> None:
        """Connect; a connection that cannot be opened is left to its first request."""

    def close(self) -> None:
        """Disconnect every slot; nothing is reported to the owner."""


class Endpoint(Protocol):
    """A target that can be put under load over any wire protocol."""

    @property
    def payloads(self) -> int:
        """Number of different requests."""

    def pool(self, connections: int, loop: asyncio.AbstractEventLoop) -> Pool:
        """Return unopened connections to the target."""


@dataclass(frozen=True)
class Phase:
    """One stretch of load in a session.

    Attributes:
        schedule: The plan.
        seed: Its seed.
        timeout_s: Limit for one request, in seconds.
        payloads: Numbers of the requests that are sent, in this order again and again; all from the first on if None.
    """

    schedule: Schedule | Closed
    seed: int
    timeout_s: float
    payloads: Sequence[int] | None = None

    @property
    def window_s(self) -> float:
        """Length of a stretch of the time line: about sixty of them in a run, of 0.1 to 5 seconds each."""
        return min(max(self.schedule.duration_s / 60, 0.1), 5.0)


@dataclass(frozen=True)
class PhaseResult:
    """What one process measured in one phase.

    Attributes:
        tally: The requests.
        elapsed_s: From the start of the phase to its last answer or planned end, whichever is later.
        cpu_s: CPU seconds (user and system) that this process spent on the phase.
    """

    tally: Tally
    elapsed_s: float
    cpu_s: float


async def run_phases(
    endpoint: Endpoint,
    phases: Sequence[Phase],
    connections: int,
    on_progress: Callable[[Recorder], None] = lambda recorder: None,
    on_phase: Callable[[int], None] = lambda index: None,
) -> list[PhaseResult]:
    """Run the phases one after the other over the same connections.

    Args:
        endpoint: Where the requests go.
        phases: For example the warm-up and then the measurement.
        connections: Connections (or streams) of this process.
        on_progress: Called about once a second with what was recorded so far; must be quick.
        on_phase: Called with the index of each phase just before it starts.

    Returns:
        One result per phase.
    """
    loop = asyncio.get_running_loop()
    pool = endpoint.pool(connections, loop)
    # Before the connections, which may take every file descriptor that there is.
    timer = make_timer(loop, time.monotonic_ns)
    try:
        with contextlib.suppress(TimeoutError):  # what is not open in time is left to its first request
            await asyncio.wait_for(pool.open(), phases[0].timeout_s)
        results = []
        for index, phase in enumerate(phases):
            on_phase(index)
            results.append(await _run_phase(endpoint, pool, phase, loop, timer, on_progress))
        return results
    finally:
        timer.close()
        pool.close()


async def _run_phase(
    endpoint: Endpoint,
    pool: Pool,
    phase: Phase,
    loop: asyncio.AbstractEventLoop,
    timer: FdTimer | LoopTimer,
    on_progress: Callable[[Recorder], None],
) -> PhaseResult:
    clock = time.monotonic_ns
    engine = Engine(
        phase.schedule,
        payloads=endpoint.payloads if phase.payloads is None else phase.payloads,
        seed=phase.seed,
        clock=clock,
        wake=timer.wake_at,
        window_s=phase.window_s,
        timeout_s=phase.timeout_s,
    )
    pool.owner = engine
    timer.callback = engine.tick
    finished = asyncio.Event()
    engine.on_finish = finished.set

    next_report = clock()

    def housekeeping() -> None:
        nonlocal next_report
        if engine.finished:
            return  # the slots may be another phase's by now
        engine.housekeeping()
        if clock() >= next_report:
            next_report = clock() + 1_000_000_000
            on_progress(engine.recorder)
        loop.call_later(HOUSEKEEPING_S, housekeeping)

    # A collection in mid-run would be a stall of this client: what exists is set aside and the collector is stopped.
    gc.collect()
    gc.freeze()
    gc.disable()
    cpu_before = _cpu_s()
    try:
        engine.start(pool.slots)
        loop.call_later(HOUSEKEEPING_S, housekeeping)
        await finished.wait()
    finally:
        gc.enable()
        gc.unfreeze()
    cpu_s = _cpu_s() - cpu_before
    tally = engine.result()
    return PhaseResult(tally, max(phase.schedule.duration_s, tally.last_answer_ns / 1e9), cpu_s)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system
