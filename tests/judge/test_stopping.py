"""Rounds go on until the intervals are as narrow as asked, and no longer than they may."""

import math

import numpy as np
import pytest

from loadtest.errors import UsageError
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.intervals import NOT_KNOWN, Estimate, geometric_estimate
from loadtest.judge.stopping import RoundLimits, Until
from loadtest.judge.summary import SummaryRow

TEN = Until("p99", 0.10)


def row(p99: Estimate, key: str = "a") -> SummaryRow:
    """A server of which only this is known."""
    no = NOT_KNOWN
    return SummaryRow(key, key, 3, no, no, p99, no, no, no, no, no, 0, 100)


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


def rounds_run(scatter: float, limits: RoundLimits, round_s: float = 10.0, seed: int = 1) -> tuple[int, SummaryRow]:
    """As many rounds as the limits ask for, of a server whose p99 scatters so much from round to round."""
    random = np.random.default_rng(seed)
    values, rows = list[float](), list[SummaryRow]()
    while not limits.over(len(values), len(values) * round_s, rows):
        values.append(20.0 * random.lognormal(0, scatter))
        rows = [row(geometric_estimate(values))]
    return len(values), rows[0]


def test_a_steadier_server_needs_fewer_rounds() -> None:
    """A server that hardly scatters is done with three; one that scatters by a fifth takes some ten times as many."""
    limits = RoundLimits(3, TEN)
    few, steady = rounds_run(0.01, limits)
    many, wild = rounds_run(0.2, limits)
    assert few == 3
    assert 8 < many < 60
    assert TEN.reached([steady])
    assert TEN.reached([wild])


def test_the_time_bounds_the_rounds() -> None:
    """No round begins that would end too late, but for the three without which there is no interval."""
    assert rounds_run(0.5, RoundLimits(3, TEN, within_s=100.0))[0] == 10
    assert rounds_run(0.5, RoundLimits(1, TEN, within_s=5.0))[0] == 3
    assert rounds_run(0.5, RoundLimits(2, None, within_s=1_000.0))[0] == 2
