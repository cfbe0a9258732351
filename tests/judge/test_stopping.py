"""Rounds go on until the intervals are as narrow as asked, and no longer than they may."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import poisson

from loadtest.errors import UsageError
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.intervals import NOT_KNOWN, Estimate, geometric_estimate
from loadtest.judge.samples import needed
from loadtest.judge.stopping import SETTLED, RoundLimits, Until
from loadtest.judge.summary import SummaryRow

TEN = Until("p99", 0.10)


def row(p99: Estimate, key: str = "a", rounds: int = 3) -> SummaryRow:
    """A server of which only this is known."""
    no = NOT_KNOWN
    return SummaryRow(key, key, rounds, no, no, p99, no, no, no, no, no, 0, 100)


@pytest.mark.parametrize("text", ["p99 ±10%", "p99±10 %", "p99 +-10%", " p99 +/- 10.0% "])
def test_a_width_is_read_as_people_write_it(text: str) -> None:
    """With the sign that is on no keyboard, or without it."""
    assert Until.parse(text) == TEN
    assert str(Until.parse(text)) == "p99 ±10 %"


@pytest.mark.parametrize("text", ["p99", "p99 10%", "p99 ±0%", "p99 ±100%", "p99 ±10", "p98 ±10%", "memory ±10%", ""])
def test_what_is_no_width_is_refused(text: str) -> None:
    """In one line, before anything is started."""
    with pytest.raises(UsageError):
        Until.parse(text)
    if text:
        with pytest.raises(UsageError):
            ComparisonPlan(until=text)


def test_every_interval_has_to_be_narrow() -> None:
    """Both ends count, an interval that is not known is not narrow, and one that cannot be had is not waited for."""
    narrow = row(Estimate(10.0, 9.0, 11.0))
    assert TEN.reached([narrow])
    assert not TEN.reached([narrow, row(Estimate(10.0, 9.5, 11.1))])
    assert not TEN.reached([narrow, row(Estimate(10.0, 8.9, 10.5))])
    assert not TEN.reached([narrow, row(Estimate(10.0, math.nan, math.nan))])
    assert not TEN.reached([narrow, row(NOT_KNOWN)])
    assert TEN.reached([narrow, row(Estimate(math.inf, 5.0, math.inf))])


def test_a_server_that_is_in_no_round_is_not_waited_for() -> None:
    """One that the gate kept out has no interval, and none comes of further rounds; alone it has reached nothing."""
    narrow, out = row(Estimate(10.0, 9.0, 11.0)), row(NOT_KNOWN, "b", rounds=0)
    limits = RoundLimits(3, TEN, within_s=1_000.0)
    assert TEN.reached([narrow, out])
    assert limits.over(SETTLED, 60.0, [narrow, out])
    assert limits.over(SETTLED, 60.0, [out])
    assert not TEN.reached([out])
    assert not TEN.reached([row(Estimate(math.inf, math.inf, math.inf))])


def test_rounds_too_short_for_the_percentile_are_refused() -> None:
    """However many there are: before anything is started where the rate is given, else as soon as the gate found it."""
    with pytest.raises(UsageError, match="p99 needs some 716 requests a round, and 5 s at 100/s have 500; raise"):
        ComparisonPlan(until="p99 ±10%", rate=100.0)
    plan = ComparisonPlan(until="p99 ±10%")
    with pytest.raises(UsageError, match="cannot be reached"):
        replace(plan, common_rate_rps=100.0)
    for until, rate in (("p99 ±10%", 150.0), ("p95 ±10%", 40.0), ("ceiling ±10%", 10.0)):
        assert replace(plan, until=until, common_rate_rps=rate).limits.until == Until.parse(until)


@pytest.mark.parametrize("measure", ["p50", "p95", "p99"])
def test_hardly_any_round_of_so_many_requests_is_too_short(measure: str) -> None:
    """Of Poisson arrivals 97 rounds in 100 have the requests that the percentile needs, and not many more than that."""
    expected = Until(measure, 0.1).requests
    least = needed(float(measure[1:]))
    assert poisson.cdf(least - 1, expected) < 0.03
    assert poisson.cdf(least - 1, expected - 2 * math.sqrt(expected)) > 0.3


def rounds_run(scatter: float, limits: RoundLimits, round_s: float = 10.0, seed: int = 1) -> tuple[int, SummaryRow]:
    """As many rounds as the limits ask for, of a server whose p99 scatters so much from round to round."""
    random = np.random.default_rng(seed)
    values, rows = list[float](), list[SummaryRow]()
    while not limits.over(len(values), len(values) * round_s, rows):
        values.append(20.0 * random.lognormal(0, scatter))
        rows = [row(geometric_estimate(values))]
    return len(values), rows[0]


def test_a_steadier_server_needs_fewer_rounds() -> None:
    """A server that hardly scatters is done at the first look; one that scatters by a fifth takes far more rounds."""
    limits = RoundLimits(3, TEN)
    few, steady = rounds_run(0.01, limits)
    many, wild = rounds_run(0.2, limits)
    assert few == SETTLED
    assert rounds_run(0.01, RoundLimits(9, TEN))[0] == 9
    assert 8 < many < 60
    assert TEN.reached([steady])
    assert TEN.reached([wild])


def test_the_time_bounds_the_rounds() -> None:
    """No round begins that would end too late, but for the three without which there is no interval."""
    assert rounds_run(0.5, RoundLimits(3, TEN, within_s=100.0))[0] == 10
    assert rounds_run(0.5, RoundLimits(1, TEN, within_s=5.0))[0] == 3
    assert rounds_run(0.5, RoundLimits(2, None, within_s=1_000.0))[0] == 2


def test_intervals_hold_the_truth_though_their_width_ended_the_rounds() -> None:
    """Few rounds that agree by luck end nothing; if three could, 90 intervals in 100 would hold the truth."""
    sittings, hits = 1_500, 0
    for seed in range(sittings):
        _, last = rounds_run(0.12, RoundLimits(3, TEN), seed=seed)
        hits += last.p99_ms.low <= 20.0 <= last.p99_ms.high
    assert hits / sittings > 0.925
