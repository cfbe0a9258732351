"""One client process: drives the engine over real connections by the real clock."""

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadtest.load.engine import Engine, Slot, SlotOwner
from loadtest.load.loop_turn import Turn
from loadtest.load.recorder import Recorder, Tally
from loadtest.load.schedule import Closed, Schedule
from loadtest.load.timer import FdTimer, LoopTimer, make_timer

HOUSEKEEPING_S = 0.05
HOUSEKEEPING_TAKES_NS = 1_000_000
"""Longer than folding samples in takes. Where a request is due sooner it is put off, by `HOUSEKEEPING_S` at most."""

SPIN_S = 0.002
"""So long before a common start a process sleeps no more: a sleeper wakes up late."""

WARM_WINDOW_S = 0.125
"""Of the time line of a warm-up: the two latest seconds of it decide (see `loadtest.load.steadiness`)."""


class Pool(Protocol):
    """The connections of one process to one target; each wire format has its own.

    Attributes:
        owner: Told what becomes of the slots' requests; the session sets it anew for each phase.
        turn: Told what the session does between two reads.
    """

    owner: SlotOwner
    turn: Turn

    @property
    def slots(self) -> Sequence[Slot]:
        """The connections, one request at a time on each."""

    def stamp(self) -> None:
        """Have the kernel tell when each answer came in, where it can; to be called before `open`."""

    async def open(self) -> None:
        """Connect what is not connected; a connection that cannot be opened is left to its first request."""

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
        until_warm: Whether it is a warm-up: a closed loop that ends as soon as the server is steady, and at the end of
            its schedule at the latest.
        payloads: Numbers of the requests that are sent, in this order again and again; all from the first on if None.
        impatient: Whether a request that is not sent within its limit is not sent at all.
        stretch_s: Length of a stretch of the time line, in seconds; see `window_s` if None.
    """

    schedule: Schedule | Closed
    seed: int
    timeout_s: float
    until_warm: bool = False
    payloads: Sequence[int] | None = None
    impatient: bool = False
    stretch_s: float | None = None

    @property
    def window_s(self) -> float:
        """Length of a stretch of the time line: about sixty of them in a run, of 0.1 to 5 seconds each."""
        if self.until_warm:
            return WARM_WINDOW_S
        if self.stretch_s is not None:
            return self.stretch_s
        return min(max(self.schedule.duration_s / 60, 0.1), 5.0)

    def engine(self, payloads: int, clock: Callable[[], int], wake: Callable[[int], None]) -> Engine:
        """The engine that runs it; see `Engine` for the arguments."""
        return Engine(
            self.schedule,
            payloads=payloads if self.payloads is None else self.payloads,
            seed=self.seed,
            clock=clock,
            wake=wake,
            window_s=self.window_s,
            timeout_s=self.timeout_s,
            until_warm=self.until_warm,
            impatient=self.impatient,
        )


@dataclass(frozen=True)
class PhaseResult:
    """What one process measured in one phase.

    Attributes:
        tally: The requests.
        elapsed_s: From the start of the phase to its last answer or planned end, whichever is later.
        cpu_s: CPU seconds (user and system) that this process spent on the phase.
        warm: Whether a warm-up ended since the server was steady; False of any other phase.
        began: Reading of the monotonic clock (ns) when it began.
    """

    tally: Tally
    elapsed_s: float
    cpu_s: float
    warm: bool = False
    began: int = 0


async def run_phases(
    endpoint: Endpoint,
    phases: Sequence[Phase],
    connections: int,
    on_progress: Callable[[Recorder], None] = lambda recorder: None,
    start_last: Callable[[], Awaitable[int]] | None = None,
    kernel_stamps: bool = False,
) -> list[PhaseResult]:
    """Run the phases one after the other over the same connections.

    Args:
        endpoint: Where the requests go.
        phases: For example the warm-up and then the measurement.
        connections: Connections (or streams) of this process.
        on_progress: Called about once a second with what was recorded so far; must be quick.
        start_last: Awaited before the last phase; returns the reading of the monotonic clock (ns) at which it begins.
        kernel_stamps: Whether the kernel is asked when each answer came in, which makes for a slower client.

    Returns:
        One result per phase.
    """
    loop = asyncio.get_running_loop()
    pool = endpoint.pool(connections, loop)
    if kernel_stamps:
        pool.stamp()
    # Before the connections, which may take every file descriptor that there is.
    timer = make_timer(loop, time.monotonic_ns)
    try:
        with contextlib.suppress(TimeoutError):  # what is not open in time is left to its first request
            await asyncio.wait_for(pool.open(), phases[0].timeout_s)
        results = []
        for index, phase in enumerate(phases):
            last = index == len(phases) - 1
            starting = start_last if last else None
            results.append(await _run_phase(endpoint, pool, phase, loop, timer, on_progress, starting))
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
    start_last: Callable[[], Awaitable[int]] | None,
) -> PhaseResult:
    clock = time.monotonic_ns
    engine = phase.engine(endpoint.payloads, clock, timer.wake_at)
    pool.owner = engine
    turn = pool.turn

    def tick() -> None:
        began = clock()
        engine.tick()
        turn.worked(began)

    timer.callback = tick
    finished = asyncio.Event()
    engine.on_finish = finished.set

    next_report = clock()
    put_off_until = 0

    def housekeeping() -> None:
        nonlocal next_report, put_off_until
        if engine.finished:
            return  # the slots may be another phase's by now
        began = clock()
        if engine.next_due - began < HOUSEKEEPING_TAKES_NS and began < put_off_until:
            loop.call_later(0.001, housekeeping)
            return
        engine.housekeeping()
        if clock() >= next_report:
            next_report = clock() + 1_000_000_000
            on_progress(engine.recorder)
        turn.worked(began)
        put_off_until = began + int(2 * HOUSEKEEPING_S * 1e9)
        loop.call_later(HOUSEKEEPING_S, housekeeping)

    # A collection in mid-run would be a stall of this client: what exists is set aside and the collector is stopped.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        if start_last:
            await _start_at(await start_last(), pool)
        began, cpu_before = clock(), _cpu_s()
        engine.start(pool.slots)
        loop.call_later(HOUSEKEEPING_S, housekeeping)
        await finished.wait()
    finally:
        gc.enable()
        gc.unfreeze()
    cpu_s = _cpu_s() - cpu_before
    tally = engine.result()
    planned_s = 0.0 if engine.warm else phase.schedule.duration_s
    return PhaseResult(tally, max(planned_s, tally.last_answer_ns / 1e9), cpu_s, engine.warm, began)


async def _start_at(start: int, pool: Pool) -> None:
    """Wait until the clock reads this, and open what a server closed that was kept waiting for other processes."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(pool.open(), max((start - time.monotonic_ns()) / 1e9 - SPIN_S, 0.0))
    await asyncio.sleep((start - time.monotonic_ns()) / 1e9 - SPIN_S)
    while time.monotonic_ns() < start:
        pass


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system
