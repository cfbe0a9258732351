"""Capacity: the highest Poisson rate at which a server meets an objective.

Doubling finds a rate that fails, bisection narrows the bracket (the peak-performance search of MLPerf LoadGen). The
search is repeated with other seeds; the results' spread is the confidence interval, and the reported rate is run once
more before it is believed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from loadtest.errors import MeasurementError
from loadtest.judge.intervals import Estimate, mean_estimate
from loadtest.judge.objective import Objective
from loadtest.judge.run_result import RunResult
from loadtest.load.schedule import MAX_RATE

TRIES = 3
"""A probe that the client spoiled is taken again up to this many times in all."""

HALVINGS = 6
"""Below the first rate divided by 2**6 no capacity is looked for."""


@dataclass(frozen=True)
class Probe:
    """One run of the search.

    Attributes:
        rate: Offered rate, requests per second.
        seed: Seed of its schedule.
        met: Whether the objective was met.
        observed_ms: The percentile, failed requests counting as infinitely slow.
        failed_share: Share of requests that failed.
    """

    rate: float
    seed: int
    met: bool
    observed_ms: float
    failed_share: float


@dataclass
class Capacity:
    """What a search found.

    Attributes:
        objective: What was to be met.
        rate: Highest rate confirmed by a run of its own, 0 where even the lowest rate failed. Where the search ended
            at a limit of the client or the host: the highest rate that was met, below every rate that was missed.
        estimate: Mean of the searches, with its interval.
        searches: Result of each search.
        probes: Every run, in order.
        limit: What kept the client or the host from offering a rate; empty where only the server set the limits.
    """

    objective: Objective
    rate: float = 0.0
    estimate: Estimate = field(default_factory=lambda: mean_estimate([]))
    searches: list[float] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    limit: str = ""

    @property
    def bounded_by_client(self) -> bool:
        """Whether the client or the host, and not the server, ended the search: the rate is a lower bound."""
        return bool(self.limit)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "objective": str(self.objective),
            "limit_ms": self.objective.limit_ms,
            "percent": self.objective.percent,
            "rate_rps": self.rate,
            "estimate_rps": self.estimate.to_json(),
            "searches": self.searches,
            "bounded_by_client": self.bounded_by_client,
            "limit": self.limit,
            "probes": [
                {**vars(probe), "observed_ms": probe.observed_ms if math.isfinite(probe.observed_ms) else None}
                for probe in self.probes
            ],
        }


class _ClientLimitError(Exception):
    """The client cannot offer this rate."""


def find_capacity(
    run: Callable[[float, float, int], RunResult],
    objective: Objective,
    *,
    start: float = 50.0,
    precision: float = 0.05,
    searches: int = 3,
    min_duration_s: float = 3.0,
    seed: int = 1,
    on_probe: Callable[[Probe], None] = lambda probe: None,
) -> Capacity:
    """Search for the capacity.

    Args:
        run: Offers Poisson load: (rate in requests per second, duration in seconds, seed) to a result.
        objective: What must be met.
        start: First rate.
        precision: Relative width of the bracket at which bisection ends.
        searches: How often the search is repeated.
        min_duration_s: Shortest probe; a probe is longer where its percentile needs more requests.
        seed: Seed of the first probe; every further one has the next.
        on_probe: Told of every probe.

    Raises:
        MeasurementError: If no probe was valid.
    """
    search = _Search(run, objective, min_duration_s, seed, on_probe)
    capacity = search.capacity
    try:
        low, high = search.bracket(start)
        for number in range(searches):
            if number:
                low, high = search.bracket(0.7 * low if low else start)
            capacity.searches.append(search.bisect(low, high, precision))
        capacity.rate = search.confirm(min(capacity.searches), precision)
    except _ClientLimitError as limit:
        if not capacity.probes:
            raise MeasurementError(f"no probe was valid: {limit}") from None
        capacity.limit = str(limit)
        capacity.rate = search.lower_bound()
        if len(capacity.searches) < searches:
            capacity.searches.append(capacity.rate)
    capacity.estimate = mean_estimate(capacity.searches)
    return capacity


class _Search:
    def __init__(
        self,
        run: Callable[[float, float, int], RunResult],
        objective: Objective,
        min_duration_s: float,
        seed: int,
        on_probe: Callable[[Probe], None],
    ) -> None:
        self._run, self._objective, self._min_duration_s = run, objective, min_duration_s
        self._seed, self._on_probe = seed, on_probe
        self.capacity = Capacity(objective)

    def meets(self, rate: float) -> bool:
        duration_s = max(self._min_duration_s, self._objective.samples / rate)
        reasons: list[str] = []
        for _ in range(TRIES):
            result = self._run(rate, duration_s, self._seed)
            tally, objective = result.tally, self._objective
            failed = (tally.scheduled - tally.ok) / max(tally.scheduled, 1)
            probe = Probe(rate, self._seed, objective.met(tally), objective.observed_ms(tally), failed)
            self._seed += 1
            if not result.spoiled:  # a server that answers nothing, or wrongly, fails the objective
                self.capacity.probes.append(probe)
                self._on_probe(probe)
                return probe.met
            reasons = result.verdict.reasons
        raise _ClientLimitError(f"at {rate:,.0f} requests per second {'; '.join(reasons)}")

    def bracket(self, rate: float) -> tuple[float, float]:
        """A rate that meets the objective (0 where none does) and one, at most twice as high, that does not."""
        if self.meets(rate):
            while self.meets(2 * rate):
                rate *= 2
                if 2 * rate > MAX_RATE:
                    raise _ClientLimitError(f"{MAX_RATE:,.0f} requests per second are the most that can be offered")
            return rate, 2 * rate
        for _ in range(HALVINGS):
            rate /= 2
            if self.meets(rate):
                return rate, 2 * rate
        return 0.0, rate

    def bisect(self, low: float, high: float, precision: float) -> float:
        """Narrow the bracket and return its lower end."""
        while low > 0 and (high - low) / high > precision:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.meets(middle) else (low, middle)
        return low

    def confirm(self, rate: float, precision: float) -> float:
        """The highest rate not above this one that meets the objective once more."""
        lowest = rate / 2
        while rate > lowest:
            if self.meets(rate):
                return rate
            rate *= 1 - precision
        return 0.0

    def lower_bound(self) -> float:
        """The highest rate that a probe met, below every rate that one missed; 0 where there is none."""
        missed = min((probe.rate for probe in self.capacity.probes if not probe.met), default=math.inf)
        return max((probe.rate for probe in self.capacity.probes if probe.met and probe.rate < missed), default=0.0)
