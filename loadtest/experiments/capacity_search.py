"""Capacity: the highest Poisson rate at which a server meets an objective in the long run.

That is the rate at which the long-run share of slow or failed requests is what the objective allows; no single probe
decides it. First the range is found by doubling or halving the rate (the peak-performance search of MLPerf LoadGen),
looking again where a look is not clear. Then come several searches, each on a server that is started anew. Each
probe of a search runs close to the capacity as all probes so far show it, where it tells most (Lai and Robbins,
Adaptive design and stochastic approximation, Annals of Statistics 7, 1979; Wu, Efficient sequential designs with binary
data, JASA 80, 1985). They end when the interval is as narrow as asked, or with the last search.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from loadtest.errors import MeasurementError
from loadtest.judge.capacity_estimate import estimate_capacity
from loadtest.judge.capacity_result import Capacity, Probe
from loadtest.judge.findings import RATE_LIMIT, RATE_NOT_OFFERED, Finding
from loadtest.judge.intervals import MIN_ROUNDS, Estimate
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.objective import Objective
from loadtest.judge.response_curve import Curve, fit
from loadtest.load.plan import Load
from loadtest.load.schedule import MAX_RATE, Poisson

SEARCHES = 8
FEWEST_SEARCHES = 6
FEWEST_MISSES = 2
"""Searches, and missed probes of them, before a narrow interval is believed: slow requests come in bursts, and searches
that have met none agree with each other by chance."""

PRECISION = 0.08
PROBE_S = 8.0

TRIES = 3
"""A probe that the client spoiled is taken again up to this many times in all."""

HALVINGS = 6
"""Below the first rate divided by 2**6 no capacity is looked for."""

LOOK_SHARE = 0.25
"""Length of a look, while the range is sought, as a share of a probe's."""

LOOKS, CLEAR = 3, 3.0
"""At most so many looks at one rate; a share so many times above or below what is allowed is clear."""

BISECTIONS = 3
"""A range of a factor of two is narrowed so often before the first search."""

LOOK_BEYOND, PROBE_BEYOND = 3, 10
"""Slow requests that a look and a probe expect at the capacity: at a low rate they last until there are so many…"""

LONGEST_S = 30.0
"""…but no longer than this, where this is more than what was asked for."""

ODDS_APART = 2.0
NEAREST, FARTHEST = 0.02, 0.10
"""The two probes of a search change the log-odds by so much each, within these shares of the estimated capacity."""

LEAST_STEEP = ODDS_APART / FARTHEST
"""What the first probe takes the steepness for where the range was not looked for."""

RunAt = Callable[[float, float, int], MeasuredRun]
"""Offers Poisson load: (rate in requests per second, duration in seconds, seed) to a result."""


def probe_load(rate: float, duration_s: float, connections: int, seed: int) -> Load:
    """The load of one probe.

    Args:
        rate: Offered rate, requests per second.
        duration_s: How long.
        connections: Connections of the client.
        seed: Seed of the schedule.
    """
    return Load(Poisson(rate, duration_s), connections=connections, seed=seed)


class _ClientLimitError(Exception):
    """The client cannot offer this rate."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__()
        self.findings = list(findings)


def find_capacity(
    server: Callable[[], AbstractContextManager[RunAt]],
    objective: Objective,
    *,
    start: float = 50.0,
    near: float = 0.0,
    precision: float = PRECISION,
    searches: int = SEARCHES,
    probe_s: float = PROBE_S,
    seed: int = 1,
    fresh: bool = True,
    on_probe: Callable[[Probe], None] = lambda probe: None,
) -> Capacity:
    """Search for the capacity.

    Args:
        server: Starts the server, for as long as the context lasts; each search enters a new one.
        objective: What must be met.
        start: First rate.
        near: About where the capacity is, where that is known: the range of rates is not looked for then.
        precision: The searches end once the interval reaches no farther than this share above the estimate.
        searches: How many there are at most.
        probe_s: Length of a probe in seconds; longer where its percentile needs more requests.
        seed: Seed of the first probe; every further one has the next.
        fresh: Whether each context is a server of its own, for the record.
        on_probe: Told of every probe.

    Raises:
        MeasurementError: If no probe was valid; with what kept the client from offering the rate.
    """
    search = _Search(objective, probe_s, seed, on_probe)
    limits: list[Finding] = []
    found, each, done, guess = Estimate(0.0, 0.0, math.nan), [0.0], 0, near
    try:
        if not guess:
            with server() as run:
                guess = search.find_range(run, start)
        while guess and done < searches:
            with server() as run:
                search.probe_around(run, guess, done + 1)
            done += 1
            found, each = estimate_capacity(search.probes, objective, guess)
            if search.told_enough(done) and found.high <= found.value * (1 + precision):
                break
    except _ClientLimitError as limit:
        limits = limit.findings
        if not search.probes:
            raise MeasurementError("no probe was valid", limits) from None
    # A host that became busy after enough searches takes nothing from them.
    bounded = bool(limits) and done < min(searches, MIN_ROUNDS)
    if bounded:
        bound = search.lower_bound()
        found, each = Estimate(bound, math.nan, math.nan), [bound]
    elif not done or search.fails_everywhere():
        each = [0.0]
        found = Estimate(0.0, 0.0, min(probe.rate for probe in search.probes))
    return Capacity(
        objective=str(objective),
        percent=objective.percent,
        limit_ms=objective.limit_ms,
        rate_rps=found.value,
        estimate_rps=found,
        searches=each,
        bounded_by_client=bounded,
        limits=limits,
        probes=search.probes,
        fresh_servers=fresh,
    )


class _Search:
    def __init__(self, objective: Objective, probe_s: float, seed: int, on_probe: Callable[[Probe], None]) -> None:
        self._objective, self._probe_s, self._seed, self._on_probe = objective, probe_s, seed, on_probe
        self.probes: list[Probe] = []

    def find_range(self, run: RunAt, rate: float) -> float:
        """About where the capacity is; 0 where no rate meets the objective."""
        if self._meets(run, rate):
            while self._meets(run, 2 * rate):
                rate *= 2
                if 2 * rate > MAX_RATE:
                    raise _ClientLimitError(Finding(RATE_LIMIT, {"rate_rps": MAX_RATE}))
        else:
            for _ in range(HALVINGS):
                rate /= 2
                if self._meets(run, rate):
                    break
            else:
                return 0.0
        low, high = rate, 2 * rate
        for _ in range(BISECTIONS):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self._meets(run, middle) else (low, middle)
        return math.sqrt(low * high)

    def told_enough(self, searches: int) -> bool:
        """Whether so many searches have seen both sides of the capacity."""
        missed = sum(not probe.met for probe in self.probes if probe.search)
        return searches >= FEWEST_SEARCHES and missed >= FEWEST_MISSES

    def fails_everywhere(self) -> bool:
        """Whether far too many requests failed in the lower half of the searches' probes too.

        Then the failures do not depend on the rate, and no lower one meets the objective either.
        """
        searched = sorted((probe for probe in self.probes if probe.search), key=lambda probe: probe.rate)
        lower = searched[: len(searched) // 2]
        return bool(lower) and self._failures(lower) > CLEAR

    def probe_around(self, run: RunAt, guess: float, number: int) -> None:
        """One probe below and one above the capacity as it is known by now, in turn the one or the other first."""
        for side in (-1, 1) if number % 2 else (1, -1):
            curve = fit(self.probes, self._objective, guess) if self.probes else Curve(guess, LEAST_STEEP, math.inf)
            apart = min(max(ODDS_APART / curve.steepness, NEAREST), FARTHEST)
            self._probe(run, min(curve.capacity * (1 + side * apart), MAX_RATE), number)

    def lower_bound(self) -> float:
        """The highest rate that met the objective, below every rate that missed it; 0 where there is none."""
        excess = {probe.rate: self._excess(self._at(probe.rate)) for probe in self.probes}
        missed = min((rate for rate in excess if excess[rate] > 1), default=math.inf)
        return max((rate for rate in excess if excess[rate] <= 1 and rate < missed), default=0.0)

    def _meets(self, run: RunAt, rate: float) -> bool:
        """Whether a rate meets the objective, as far as some looks can tell."""
        excess = math.nan
        for _ in range(LOOKS):
            self._look(run, rate)
            excess = self._excess(self._at(rate))
            if not 1 / CLEAR <= excess <= CLEAR:
                break
        return excess <= 1

    def _at(self, rate: float) -> list[Probe]:
        return [probe for probe in self.probes if probe.rate == rate]

    def _excess(self, probes: Sequence[Probe]) -> float:
        """How many times what is allowed the share of slow, or of failed, requests was in these probes."""
        requests = sum(probe.requests for probe in probes)
        if not requests:
            return math.inf
        slow = sum(probe.slow for probe in probes) / requests
        return max(slow / self._objective.slow_allowed, self._failures(probes))

    def _failures(self, probes: Sequence[Probe]) -> float:
        """How many times their budget the failures were."""
        share = sum(probe.failed_share * probe.requests for probe in probes) / sum(probe.requests for probe in probes)
        allowed = self._objective.errors
        return share / allowed if allowed else math.inf if share else 0.0

    def _look(self, run: RunAt, rate: float) -> None:
        self._probe(run, rate, 0, LOOK_SHARE, LOOK_BEYOND)

    def _probe(self, run: RunAt, rate: float, search: int, share: float = 1.0, beyond: int = PROBE_BEYOND) -> None:
        asked_s, objective = share * self._probe_s, self._objective
        duration_s = max(asked_s, min(beyond / objective.slow_allowed / rate, LONGEST_S))
        reasons: list[Finding] = []
        for _ in range(TRIES):
            result = run(rate, duration_s, self._seed)
            self._seed += 1
            if not result.spoiled:  # a server that answers nothing, or wrongly, fails the objective
                probe = _judged(result, objective, rate, self._seed - 1, duration_s, search)
                self.probes.append(probe)
                self._on_probe(probe)
                return
            reasons = result.verdict.reasons
        raise _ClientLimitError(Finding(RATE_NOT_OFFERED, {"rate_rps": rate}), *reasons)


def _judged(result: MeasuredRun, objective: Objective, rate: float, seed: int, duration_s: float, search: int) -> Probe:
    tally = result.tally
    return Probe(
        rate=rate,
        seed=seed,
        met=objective.met(tally),
        observed_ms=objective.observed_ms(tally),
        failed_share=tally.failed / max(tally.scheduled, 1),
        requests=tally.scheduled,
        slow=objective.slow(tally),
        duration_s=duration_s,
        search=search,
    )
