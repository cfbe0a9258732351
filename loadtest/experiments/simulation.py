"""The load engine in virtual time, against a simulated server: exact, deterministic, a million requests in seconds.

The engine is the real one, with nothing changed; only its clock, its wake-ups and its connections are simulated. So a
queue with a known formula shows whether the engine measures what it says, and a stall on a timetable shows what a
schedule sees of it:

    simulate(Poisson(500.0, 60.0), FifoServer(exponential(0.001, seed=2)), connections=64).response_ms(99)
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from loadtest.errors import UsageError
from loadtest.judge.measured import MeasuredRun, conclude
from loadtest.judge.run_result import Run, Warmup
from loadtest.load.bursty import variation
from loadtest.load.engine import NEVER, Engine
from loadtest.load.schedule import BLOCK, NS, Closed, Schedule, check_connections
from loadtest.load.session import HOUSEKEEPING_S, Phase

CORRECT = ""
"""How a request ends that is answered correctly; any other word is a kind of failure."""


class SimulatedServer(Protocol):
    """Decides, when a request arrives, when it will be answered and how it will end."""

    def answer(self, now: int) -> tuple[int, str]:
        """Take a request in.

        Args:
            now: Time of its arrival in nanoseconds; never smaller than at the call before.

        Returns:
            When it is answered (`NEVER` of the engine where it is not), and `CORRECT` or the kind of its failure.
        """


def fixed(seconds: float) -> Iterator[int]:
    """Service times that are all the same, in nanoseconds."""
    return itertools.repeat(round(seconds * NS))


def exponential(mean_s: float, seed: int) -> Iterator[int]:
    """Exponential service times with this mean, in nanoseconds."""
    random = np.random.default_rng(seed)
    while True:
        yield from np.rint(random.exponential(mean_s * NS, BLOCK)).astype(np.int64).tolist()


@dataclass(frozen=True)
class Stalls:
    """A timetable on which a server stops all its work and then resumes it where it was.

    Attributes:
        every_s: A stall begins once in so many seconds.
        length_s: How long it lasts.
        first_s: When the first one begins.
    """

    every_s: float
    length_s: float
    first_s: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.length_s < self.every_s and 0 <= self.first_s <= self.every_s - self.length_s):
            raise UsageError("a stall must be shorter than the time between stalls, and the first within that time")

    def finish(self, begin: int, work: int) -> int:
        """When work of this length is done that a worker takes up at ``begin`` (all in nanoseconds)."""
        every, length, first = (round(seconds * NS) for seconds in (self.every_s, self.length_s, self.first_s))
        cycle, position = divmod(begin - first, every)
        worked = max(position - length, 0)
        # Work that ends in the instant a stall begins is done before it: hence one less, and one more.
        cycles, rest = divmod(worked + work - 1, every - length)
        return max(first + (cycle + cycles) * every + length + rest + 1, begin)


class FifoServer:
    """Workers behind one queue, first come, first served.

    Args:
        service: Endless service times in nanoseconds.
        workers: Requests served at the same time.
        stalls: When all workers stop.
    """

    def __init__(self, service: Iterator[int], workers: int = 1, stalls: Stalls | None = None) -> None:
        self._service = service
        self._free_at = [0] * workers
        self._stalls = stalls

    def answer(self, now: int) -> tuple[int, str]:
        """Serve the request as soon as the first worker is free."""
        begin = max(now, self._free_at[0])
        work = next(self._service)
        done = begin + work if self._stalls is None else self._stalls.finish(begin, work)
        heapq.heapreplace(self._free_at, done)
        return done, CORRECT


class FaultyServer:
    """Lets a share of another server's requests fail, or leaves them without an answer.

    Args:
        server: Who serves.
        failing: Share of the requests by kind of failure.
        unanswered: Share that is served and never answered.
        seed: Which of the requests.
    """

    def __init__(
        self,
        server: SimulatedServer,
        failing: Mapping[str, float] | None = None,
        unanswered: float = 0.0,
        seed: int = 1,
    ) -> None:
        self._server = server
        shares = {**(failing or {}), "": unanswered}
        self._kinds = list(shares)
        self._edges = np.cumsum(list(shares.values()))
        if not 0 <= self._edges[-1] <= 1 or min(shares.values()) < 0:
            raise UsageError("the shares of failing and unanswered requests must be between 0 and 1 together")
        self._random = np.random.default_rng(seed)

    def answer(self, now: int) -> tuple[int, str]:
        """Serve the request, and let it fail if the lot falls on it."""
        when, kind = self._server.answer(now)
        lot = int(np.searchsorted(self._edges, self._random.random(), side="right"))
        if lot == len(self._kinds):
            return when, kind
        return (when, self._kinds[lot]) if self._kinds[lot] else (NEVER, kind)


class VirtualTime:
    """A clock that jumps from event to event; events at the same time happen in the order in which they were set."""

    def __init__(self) -> None:
        self.now = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._wake = NEVER

    def clock(self) -> int:
        """The present time in nanoseconds."""
        return self.now

    def at(self, when: int, event: Callable[[], None]) -> None:
        """Let something happen at a time that is not over yet."""
        heapq.heappush(self._events, (when, next(self._order), event))

    def wake_at(self, when: int) -> None:
        """Set the time of the next wake-up; replaces an earlier request, as the engine expects it."""
        self._wake = when

    def run(self, engine: Engine, slots: "list[SimulatedConnection]") -> None:
        """Run the engine over these slots until it has finished."""
        events, pause = self._events, int(HOUSEKEEPING_S * NS)
        engine.start(slots)
        housekeeping = self.now + pause
        while not engine.finished:
            coming = events[0][0] if events else NEVER
            if coming <= self._wake and coming <= housekeeping:
                self.now, _, event = heapq.heappop(events)
                event()
            elif self._wake <= housekeeping:
                self.now, self._wake = max(self._wake, self.now), NEVER
                engine.tick()
            else:
                self.now = housekeeping
                housekeeping += pause
                engine.housekeeping()


class SimulatedConnection:
    """A slot of the engine that is answered by a simulated server, without any time on the wire."""

    def __init__(self, server: SimulatedServer, time: VirtualTime) -> None:
        self.intended = self.sent = self.free_at = self.readable = self.arrived = 0
        self.busy = False
        self.engine: Engine  # set before the run
        self._server = server
        self._time = time
        self._turn = 0

    def send(self, payload: int) -> None:
        """Hand the request to the server and set the time of its answer."""
        when, kind = self._server.answer(self._time.now)
        if when < NEVER:
            self._time.at(when, partial(self._answered, self._turn, kind))

    def abort(self, kind: str) -> None:
        """Give the request up; the server still works on it, and its answer finds nobody."""
        self._end(kind)

    def _answered(self, turn: int, kind: str) -> None:
        if turn == self._turn:
            self._end(kind)

    def _end(self, kind: str) -> None:
        self._turn += 1
        self.readable = self.arrived = self._time.now
        if kind == CORRECT:
            self.engine.completed(self)
        else:
            self.engine.failed(self, kind)


class WarmingServer:
    """One worker that serves the first requests after its start more slowly, as a compiler at run time does.

    Args:
        service: Endless service times in nanoseconds, once it is warm.
        warm_s: When it is warm, in seconds.
        slower: How much longer a request takes at the start; from there on it falls in a straight line.
    """

    def __init__(self, service: Iterator[int], warm_s: float, slower: float) -> None:
        self._service, self._warm, self._slower = service, warm_s * NS, slower
        self._free_at = 0

    def answer(self, now: int) -> tuple[int, str]:
        """Serve the request as soon as the worker is free."""
        begin = max(now, self._free_at)
        factor = 1 + (self._slower - 1) * max(1 - begin / self._warm, 0)
        self._free_at = begin + round(next(self._service) * factor)
        return self._free_at, CORRECT


def simulate(
    schedule: Schedule | Closed,
    server: SimulatedServer,
    *,
    connections: int,
    seed: int = 1,
    timeout_s: float = 10.0,
    warmup_s: float = 0.0,
    time: VirtualTime | None = None,
) -> MeasuredRun:
    """Put a simulated server under load.

    Args:
        schedule: The plan.
        server: Who answers.
        connections: Connections of the client; one that is busy sends nothing else meanwhile.
        seed: Seed of the schedule.
        timeout_s: Limit for one request, in virtual seconds.
        warmup_s: Longest warm-up before it, in virtual seconds.
        time: The clock and its wake-ups; by default those of a client that costs no time.

    Returns:
        The result that a run against such a server would have.
    """
    time = time or VirtualTime()
    slots = [SimulatedConnection(server, time) for _ in range(check_connections(connections))]
    warmup = None
    if warmup_s > 0:
        engine = _run(Phase(Closed(warmup_s), seed, timeout_s, until_warm=True), time, slots)
        before = engine.result()
        warmup = Warmup(before.scheduled, time.now / NS, engine.warm)
    tally = _run(Phase(schedule, seed, timeout_s), time, slots).result()
    run = simulated_run("simulated server", schedule, seed, connections, timeout_s, warmup_s)
    elapsed_s = max(schedule.duration_s, tally.last_answer_ns / NS)
    return conclude(run, tally, elapsed_s=elapsed_s, warmup=warmup)


def simulated_run(
    target: str,
    schedule: Schedule | Closed,
    seed: int,
    connections: int = 1,
    timeout_s: float = math.inf,
    warmup_s: float = 0.0,
) -> Run:
    """What was run, of a run in virtual time."""
    return Run(
        target=target,
        wire="virtual time",
        expectation="none",
        payloads=1,
        schedule=schedule.kind,
        rate=schedule.rate,
        duration_s=schedule.duration_s,
        warmup_s=warmup_s,
        connections=connections,
        processes=1,
        seed=seed,
        timeout_s=timeout_s,
        cv=variation(schedule),
    )


def _run(phase: Phase, time: VirtualTime, slots: list[SimulatedConnection]) -> Engine:
    engine = phase.engine(1, time.clock, time.wake_at)
    for slot in slots:
        slot.engine = engine
    time.run(engine, slots)
    return engine
