"""Capacity: the highest Poisson rate at which a server meets an objective.

Doubling finds a rate that fails, bisection narrows the bracket (the peak-performance search of MLPerf LoadGen). The
search is repeated with other seeds; the results' spread is the confidence interval, and the reported rate is run once
more before it is believed.
"""

import math
from collections.abc import Callable

from loadtest.errors import MeasurementError
from loadtest.judge.capacity_result import Capacity, Probe
from loadtest.judge.findings import RATE_LIMIT, RATE_NOT_OFFERED, Finding
from loadtest.judge.intervals import mean_estimate
from loadtest.judge.objective import Objective
from loadtest.judge.run_result import MeasuredRun
from loadtest.load.plan import Load
from loadtest.load.schedule import MAX_RATE, Poisson

TRIES = 3
"""A probe that the client spoiled is taken again up to this many times in all."""

HALVINGS = 6
"""Below the first rate divided by 2**6 no capacity is looked for."""


PROBE_WARMUP_S = 0.5


def probe_load(rate: float, duration_s: float, connections: int, seed: int) -> Load:
    """The load of one probe.

    Args:
        rate: Offered rate, requests per second.
        duration_s: How long.
        connections: Connections of the client.
        seed: Seed of the schedule.
    """
    return Load(Poisson(rate, duration_s), PROBE_WARMUP_S, connections, seed=seed)


class _ClientLimitError(Exception):
    """The client cannot offer this rate."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__()
        self.findings = list(findings)


def find_capacity(
    run: Callable[[float, float, int], MeasuredRun],
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
        MeasurementError: If no probe was valid; with what kept the client from offering the rate.
    """
    search = _Search(run, objective, min_duration_s, seed, on_probe)
    found: list[float] = []
    limits: list[Finding] = []
    try:
        low, high = search.bracket(start)
        for number in range(searches):
            if number:
                low, high = search.bracket(0.7 * low if low else start)
            found.append(search.bisect(low, high, precision))
        rate = search.confirm(min(found), precision)
    except _ClientLimitError as limit:
        limits = limit.findings
        if not search.probes:
            raise MeasurementError("no probe was valid", limits) from None
        rate = search.lower_bound()
        if len(found) < searches:
            found.append(rate)
    return Capacity(
        objective=str(objective),
        percent=objective.percent,
        limit_ms=objective.limit_ms,
        rate_rps=rate,
        estimate_rps=mean_estimate(found),
        searches=found,
        bounded_by_client=bool(limits),
        limits=limits,
        probes=search.probes,
    )


class _Search:
    def __init__(
        self,
        run: Callable[[float, float, int], MeasuredRun],
        objective: Objective,
        min_duration_s: float,
        seed: int,
        on_probe: Callable[[Probe], None],
    ) -> None:
        self._run, self._objective, self._min_duration_s = run, objective, min_duration_s
        self._seed, self._on_probe = seed, on_probe
        self.probes: list[Probe] = []

    def meets(self, rate: float) -> bool:
        duration_s = max(self._min_duration_s, self._objective.samples / rate)
        reasons: list[Finding] = []
        for _ in range(TRIES):
            result = self._run(rate, duration_s, self._seed)
            tally, objective = result.tally, self._objective
            failed = (tally.scheduled - tally.ok) / max(tally.scheduled, 1)
            probe = Probe(rate, self._seed, objective.met(tally), objective.observed_ms(tally), failed)
            self._seed += 1
            if not result.spoiled:  # a server that answers nothing, or wrongly, fails the objective
                self.probes.append(probe)
                self._on_probe(probe)
                return probe.met
            reasons = result.verdict.reasons
        raise _ClientLimitError(Finding(RATE_NOT_OFFERED, {"rate_rps": rate}), *reasons)

    def bracket(self, rate: float) -> tuple[float, float]:
        """A rate that meets the objective (0 where none does) and one, at most twice as high, that does not."""
        if self.meets(rate):
            while self.meets(2 * rate):
                rate *= 2
                if 2 * rate > MAX_RATE:
                    raise _ClientLimitError(Finding(RATE_LIMIT, {"rate_rps": MAX_RATE}))
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
        missed = min((probe.rate for probe in self.probes if not probe.met), default=math.inf)
        return max((probe.rate for probe in self.probes if probe.met and probe.rate < missed), default=0.0)
