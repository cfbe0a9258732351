"""When requests are meant to be sent: drawn from a seed before the run, the same for every server.

A schedule yields intended send times in nanoseconds from the start of the run. They are drawn in blocks, so that a
run of any length needs the memory of one block, and the same seed gives the same times wherever it is drawn.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from loadtest.errors import UsageError

NS = 1_000_000_000
BLOCK = 2_048
MAX_RATE = 1_000_000.0
MAX_CONNECTIONS = 10_000
MAX_DURATION_S = 7 * 24 * 3_600.0


class Schedule(Protocol):
    """An open-loop plan: requests become due by the clock and not by the answers."""

    @property
    def kind(self) -> str:
        """The name used on the command line and in results."""

    @property
    def dealt(self) -> bool:
        """Whether `split` deals the times of one plan out in turn: then all parts are drawn from the same seed."""

    @property
    def duration_s(self) -> float:
        """Length of the plan, in seconds."""

    @property
    def rate(self) -> float:
        """Mean offered rate over the plan, in requests per second."""

    def times(self, seed: int) -> Iterator[int]:
        """Yield the intended send times, ascending, in nanoseconds from the start."""

    def split(self, parts: int) -> "Sequence[Schedule]":
        """Divide the offered load over several client processes."""


def check_plan(rate: float, duration_s: float) -> None:
    """Raise `UsageError` where no machine could keep the plan."""
    if not (math.isfinite(rate) and 0 < rate <= MAX_RATE):
        raise UsageError(f"the rate must be above 0 and at most {MAX_RATE:,.0f} requests per second, not {rate}")
    if not (math.isfinite(duration_s) and 0 < duration_s <= MAX_DURATION_S):
        raise UsageError(f"the duration must be above 0 and at most {MAX_DURATION_S:,.0f} seconds, not {duration_s}")


@dataclass(frozen=True)
class Poisson:
    """Independent users: exponential gaps of mean ``1 / rate``.

    Splitting is exact: the superposition of independent Poisson processes is a Poisson process of the summed rate.
    """

    rate: float
    duration_s: float
    kind: str = "poisson"
    dealt: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_plan(self.rate, self.duration_s)

    def times(self, seed: int) -> Iterator[int]:
        """Yield cumulative sums of exponential gaps until the duration is over."""
        random = np.random.default_rng(seed)
        start, end = 0.0, self.duration_s * NS
        while start < end:
            block = start + np.cumsum(random.exponential(NS / self.rate, BLOCK))
            start = float(block[-1])
            yield from block[block < end].astype(np.int64).tolist()

    def split(self, parts: int) -> Sequence[Schedule]:
        """Give each part its share of the rate; each is drawn from its own seed."""
        return [Poisson(self.rate / parts, self.duration_s)] * parts


@dataclass(frozen=True)
class Constant:
    """A metronome: a request at its ticks, ``1 / tempo`` seconds apart, the first at the start.

    Attributes:
        tempo: Ticks per second.
        duration_s: Length, in seconds.
        first: Number of the first tick at which a request is due.
        every: From there on one is due at every so many ticks.
    """

    tempo: float
    duration_s: float
    first: int = 0
    every: int = 1
    kind: str = "constant"
    dealt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_plan(self.tempo, self.duration_s)

    @property
    def rate(self) -> float:
        """The rate at which its own ticks come, in requests per second."""
        return self.tempo / self.every

    def times(self, seed: int) -> Iterator[int]:
        """Yield evenly spaced times, whole nanoseconds; the seed is not used."""
        gap, end, stride = NS / self.tempo, round(self.duration_s * NS), BLOCK * self.every
        for first in itertools.count(self.first, stride):
            block = np.rint(np.arange(first, first + stride, self.every) * gap).astype(np.int64)
            due = block[block < end].tolist()
            yield from due
            if len(due) < BLOCK:
                return

    def split(self, parts: int) -> Sequence[Schedule]:
        """Deal the ticks out in turn, so that together the parts tick exactly like the whole."""
        return [
            Constant(self.tempo, self.duration_s, self.first + part * self.every, self.every * parts)
            for part in range(parts)
        ]


@dataclass(frozen=True)
class Piecewise:
    """A Poisson process whose rate follows a curve: ``ramp`` (linear) or ``step`` (held per segment).

    Drawn by inverting the cumulative rate at the points of a unit-rate process (Çinlar's inversion method).

    Attributes:
        rates: For ``ramp`` the rates at the corners (two or more), for ``step`` the rate of each segment.
        duration_s: Length of the whole curve; its segments are of equal length.
        kind: ``ramp`` or ``step``.
    """

    rates: tuple[float, ...]
    duration_s: float
    kind: str = "ramp"
    dealt: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(self.rates) < (2 if self.kind == "ramp" else 1):
            raise UsageError(f"a {self.kind} schedule needs several rates, for example 100:500")
        for rate in self.rates:
            check_plan(rate, self.duration_s)

    def _curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Times (s) and the expected number of requests up to them, on a fine grid."""
        if self.kind == "step":
            edges = np.linspace(0.0, self.duration_s, len(self.rates) + 1)
            return edges, np.concatenate([[0.0], np.cumsum(np.array(self.rates) * np.diff(edges))])
        grid = np.linspace(0.0, self.duration_s, 10_000)
        corners = np.linspace(0.0, self.duration_s, len(self.rates))
        rate = np.interp(grid, corners, self.rates)
        return grid, np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(grid))])

    @property
    def rate(self) -> float:
        """Mean rate of the curve, in requests per second."""
        if self.kind == "step":
            return sum(self.rates) / len(self.rates)
        return (sum(self.rates) - (self.rates[0] + self.rates[-1]) / 2) / (len(self.rates) - 1)

    def times(self, seed: int) -> Iterator[int]:
        """Yield the times at which the cumulative rate passes the points of a unit-rate Poisson process."""
        grid, expected = self._curve()
        random = np.random.default_rng(seed)
        start = 0.0
        while start < expected[-1]:
            points = start + np.cumsum(random.exponential(1.0, BLOCK))
            start = float(points[-1])
            yield from (np.interp(points[points < expected[-1]], expected, grid) * NS).astype(np.int64).tolist()

    def split(self, parts: int) -> Sequence[Schedule]:
        """Give each part its share of every rate."""
        return [Piecewise(tuple(rate / parts for rate in self.rates), self.duration_s, self.kind)] * parts


@dataclass(frozen=True)
class Closed:
    """Closed loop: every connection sends its next request as soon as its last one is answered.

    Its response time equals its service time: a stalled server stalls this client too, so the requests that a real
    user would have sent meanwhile are never seen (coordinated omission). It is for ceilings, not for latency.

    Attributes:
        duration_s: Shortest length.
        min_requests: The loop goes on beyond its duration until this many requests have ended.
        patience_s: For so many seconds at most: a dead server ends few.
    """

    duration_s: float
    min_requests: int = 0
    patience_s: float = 120.0
    kind: str = "closed"
    dealt: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_plan(1.0, self.duration_s)

    @property
    def rate(self) -> float:
        """0: the server sets the rate, so it is not known beforehand."""
        return 0.0

    def split(self, parts: int) -> "Sequence[Closed]":
        """Every process runs the loop over its share of the connections."""
        return [replace(self, min_requests=math.ceil(self.min_requests / parts))] * parts


def check_connections(connections: int) -> int:
    """Return the number of connections, or raise `UsageError` where no machine could hold them."""
    if not 1 <= connections <= MAX_CONNECTIONS:
        raise UsageError(f"connections must be between 1 and {MAX_CONNECTIONS:,}, not {connections:,}")
    return connections
