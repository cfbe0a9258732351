"""What a comparison does."""

import math
from dataclasses import dataclass, replace

from loadtest.errors import UsageError
from loadtest.judge.objective import Objective
from loadtest.judge.samples import requests_for
from loadtest.judge.stopping import RoundLimits, Until
from loadtest.load.plan import Load
from loadtest.load.schedule import MAX_DURATION_S, Poisson
from loadtest.load.steadiness import WARM_ANSWERS
from loadtest.records import Number

PERCENTILES = (99.0, 95.0, 50.0)
"""Percentiles for which a run is stretched, the one that is wanted more first."""

WARM_MARGIN = 1.5
"""A warm-up may go on for so many times the answers that the first look at it needs."""


@dataclass(frozen=True)
class ComparisonPlan:
    """What a comparison does.

    Attributes:
        rounds: Rounds per server; where `until` is set, the fewest, and in a result those that were begun.
        duration_s: Length of the open-loop run of a round; the closed-loop run is half as long.
        warmup_s: Longest warm-up before each run, the gate's too; it ends as soon as the server is steady.
        rate: Common offered rate, requests per second; 0 to take half of the slowest server's ceiling.
        connections: Connections of the client.
        batch: Instances in one request.
        seed: Seed of the schedules and of the order.
        curve: Shares of a server's own ceiling at which each round takes its latency too.
        slo: Objective whose capacity is searched after the rounds, or nothing.
        tries: A run that the client or the machine spoiled is taken again, the same schedule, up to so many times in
            all; each try that was thrown away is told among the findings of the run that took its place.
        common_rate_rps: The common rate; not known before the gate.
        until: Rounds go on until the interval of each server's measure is so narrow, such as ``p99 ±10%``; or nothing.
        within_s: …but no longer than so many seconds.
        stretch_s: Where the common rate is so low that `duration_s` has too few requests for p99, the runs at it are
            stretched until there are enough, but not beyond this length; where that is not enough for p99, then for
            p95, or else for the median. So are the warm-ups in which the slowest server has too few answers to be seen
            steady. In a result `duration_s` and `warmup_s` are what they were stretched to. 0 for no stretch.
        timeout_s: Limit for one request.
        audit: Whether each server is audited for caching, over the first of its wire formats.
        layers: Whether each server is started once more, after the rounds, to tell where its CPU time goes.
        pictures: Whether the servers are asked with encoded pictures, and not with tensors.
    """

    rounds: int = 3
    duration_s: float = 5.0
    warmup_s: float = 10.0
    rate: float = 0.0
    connections: int = 8
    batch: int = 1
    seed: int = 1
    curve: tuple[float, ...] = ()
    slo: str = ""
    tries: int = 2
    common_rate_rps: Number = math.nan
    until: str = ""
    within_s: float = 1_800.0
    stretch_s: float = 0.0
    timeout_s: float = 10.0
    audit: bool = True
    layers: bool = False
    pictures: bool = False

    def at_rate(self, rate: float, ceiling_rps: float) -> "ComparisonPlan":
        """The plan once the servers are known, its runs and warm-ups as long as they need.

        Args:
            rate: The common rate, requests per second.
            ceiling_rps: What the slowest server answers per second in a closed loop.
        """
        percent = Until.parse(self.until).percent if self.until else None
        lengths = [requests_for(one) / rate for one in ((percent,) if percent else PERCENTILES)]
        # In whole seconds, so that it is easy to name and to repeat.
        stretched = next((float(math.ceil(length)) for length in lengths if length <= self.stretch_s), 0.0)
        # A look at a warm-up takes in its latest half.
        warm = math.ceil(min(2 * WARM_MARGIN * WARM_ANSWERS / ceiling_rps, self.stretch_s)) if self.warmup_s else 0
        return replace(
            self,
            common_rate_rps=rate,
            duration_s=max(self.duration_s, stretched),
            warmup_s=max(self.warmup_s, warm),
        )

    @property
    def limits(self) -> RoundLimits:
        """When there are enough rounds."""
        return RoundLimits(self.rounds, Until.parse(self.until) if self.until else None, self.within_s)

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"rounds must be at least 1, not {self.rounds}")
        if self.tries < 1:
            raise UsageError(f"a run is tried at least once, not {self.tries} times")
        if self.batch < 1:
            raise UsageError(f"the batch must be at least 1, not {self.batch}")
        if any(not 0 < share <= 2 for share in self.curve):
            raise UsageError("the shares of the curve must be above 0 and at most 2")
        if self.slo:
            Objective.parse(self.slo)
        if not 0 <= self.stretch_s <= MAX_DURATION_S:
            raise UsageError(f"a run is stretched to between 0 seconds and a week, not {self.stretch_s}")
        if not 0 < self.within_s <= MAX_DURATION_S:
            raise UsageError(f"the rounds must end within more than 0 seconds and at most a week, not {self.within_s}")
        if self.until:
            self._check_requests(Until.parse(self.until))
        Load(
            Poisson(self.rate or 1.0, self.duration_s),
            self.warmup_s,
            self.connections,
            seed=self.seed,
            timeout_s=self.timeout_s,
        )

    def _check_requests(self, until: Until) -> None:
        """No number of rounds gives an interval to a percentile that each of them is too short for."""
        rate = self.rate if math.isnan(self.common_rate_rps) else self.common_rate_rps
        longest = max(self.duration_s, self.stretch_s)
        if 0 < rate * longest < until.requests:
            raise UsageError(
                f"{self.until!r} cannot be reached: {until.measure} needs some {until.requests:,} requests a round, "
                f"and {longest:g} s at {rate:g}/s have {rate * longest:,.0f}; raise --duration to "
                f"{math.ceil(until.requests / rate)}"
            )
