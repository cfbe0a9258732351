import json
import math

import numpy as np
import pytest

from loadtest.judge.intervals import (
    Estimate,
    independent_mean_ratio,
    independent_percentile_ratio,
    is_tie,
    mean_estimate,
    mean_ratio,
    percentile_estimate,
    percentile_ratio,
    small_sample_factor,
)
from loadtest.load.histogram import Histogram
from loadtest.records import to_json

TRUE_RATIO = 1.25
SITTINGS = 600
# Four standard deviations of a count of SITTINGS trials at 95 %.
SPREAD = 4 * math.sqrt(0.95 * 0.05 / SITTINGS)


def histogram(random: np.random.Generator, scale_ms: float, count: int = 400) -> Histogram:
    """One round of exponential response times."""
    recorded = Histogram()
    recorded.record((random.exponential(scale_ms * 1e6, count)).astype(np.int64))
    return recorded


def covered(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return estimate.low <= truth <= estimate.high


@pytest.mark.parametrize("rounds", [3, 5, 10])
def test_intervals_of_a_ratio_cover_the_truth_95_times_in_100(rounds: int) -> None:
    """Two servers over paired rounds, each with its own disturbance and one in common, however few the rounds."""
    random = np.random.default_rng(rounds)
    hits = 0
    for _ in range(SITTINGS):
        minute = random.lognormal(0, 0.2, rounds)
        ours = 10 * TRUE_RATIO * minute * random.lognormal(0, 0.1, rounds)
        theirs = 10 * minute * random.lognormal(0, 0.1, rounds)
        hits += covered(mean_ratio(ours.tolist(), theirs.tolist()), TRUE_RATIO)
    assert abs(hits / SITTINGS - 0.95) < SPREAD


@pytest.mark.parametrize("rounds", [3, 6])
def test_intervals_of_a_mean_cover_the_truth_95_times_in_100(rounds: int) -> None:
    """The same of one server's mean."""
    random = np.random.default_rng(rounds)
    draws = random.normal(100.0, 8.0, (SITTINGS, rounds))
    hits = sum(covered(mean_estimate(values), 100.0) for values in draws.tolist())
    assert abs(hits / SITTINGS - 0.95) < SPREAD


def test_intervals_of_a_percentile_ratio_cover_the_truth() -> None:
    """p90 of exponential response times whose scale differs from round to round (five rounds, 60 sittings)."""
    random = np.random.default_rng(7)
    sittings, hits = 60, 0
    for _ in range(sittings):
        minute = random.lognormal(0, 0.1, 5)
        ours = [histogram(random, 5 * TRUE_RATIO * scale) for scale in minute]
        theirs = [histogram(random, 5 * scale) for scale in minute]
        hits += covered(percentile_ratio(ours, theirs, 90), TRUE_RATIO)
    assert hits / sittings > 0.95 - 4 * math.sqrt(0.95 * 0.05 / sittings)


def test_intervals_from_different_sittings_cover_the_truth() -> None:
    """Rounds that were not run side by side are drawn apart: at least 95 in 100."""
    random = np.random.default_rng(8)
    hits = 0
    for _ in range(SITTINGS):
        ours = 10 * TRUE_RATIO * random.lognormal(0, 0.1, 4)
        theirs = 10 * random.lognormal(0, 0.1, 4)
        hits += covered(independent_mean_ratio(ours.tolist(), theirs.tolist()), TRUE_RATIO)
    assert hits / SITTINGS > 0.95 - SPREAD


def test_pairing_takes_the_common_disturbance_out() -> None:
    """Two servers that slow down together: the paired ratio is far surer than the ratio of strangers."""
    minute = np.random.default_rng(9).lognormal(0, 0.5, 8)
    ours, theirs = (minute * 12).tolist(), (minute * 10).tolist()
    paired, apart = mean_ratio(ours, theirs), independent_mean_ratio(ours, theirs)
    assert paired.low == pytest.approx(1.2)
    assert paired.high == pytest.approx(1.2)
    assert not is_tie(paired)
    assert is_tie(apart)


def test_equal_servers_tie_95_times_in_100() -> None:
    """Where there is no difference, one is claimed once in twenty sittings and not more often."""
    random = np.random.default_rng(10)
    ties = 0
    for _ in range(SITTINGS):
        ours, theirs = random.lognormal(0, 0.1, (2, 3))
        ties += is_tie(mean_ratio(ours.tolist(), theirs.tolist()))
    assert abs(ties / SITTINGS - 0.95) < SPREAD


@pytest.mark.parametrize(
    ("ratio", "tie"),
    [
        (Estimate(1.1, 0.9, 1.3), True),
        (Estimate(1.1, 1.0, 1.3), True),
        (Estimate(1.1, 1.01, 1.3), False),
        (Estimate(0.8, 0.7, 0.99), False),
        (Estimate(1.5, math.nan, math.nan), True),
    ],
)
def test_a_tie_is_an_interval_that_spans_one(ratio: Estimate, tie: bool) -> None:
    """An interval that is not known claims no difference either."""
    assert is_tie(ratio) is tie


@pytest.mark.parametrize(("rounds", "student_t"), [(3, 4.303), (4, 3.182), (5, 2.776), (10, 2.262), (31, 2.042)])
def test_small_sample_factor_is_that_of_students_t(rounds: int, student_t: float) -> None:
    """The expansion agrees with the tabled 97.5 % quantile of t within 1 %."""
    expected = math.sqrt(rounds / (rounds - 1)) * student_t / 1.95996
    assert small_sample_factor(rounds) == pytest.approx(expected, rel=0.01)


def test_percentile_over_rounds_is_that_of_the_union() -> None:
    """The point estimate takes all requests of all rounds together."""
    random = np.random.default_rng(11)
    rounds = [histogram(random, scale) for scale in (1.0, 2.0, 4.0)]
    union = Histogram()
    for one in rounds:
        union.merge(one)
    estimate = percentile_estimate(rounds, 95)
    assert estimate.value == pytest.approx(union.percentile(95) / 1e6, rel=1 / 1_024)
    assert estimate.low < estimate.value < estimate.high


def test_what_is_not_known_stays_unknown() -> None:
    """No rounds, too few rounds for an interval, too few samples for the percentile, rounds without a value."""
    assert not mean_estimate([]).known
    assert not mean_estimate([math.nan]).known
    two = mean_estimate([1.0, 2.0])
    assert two.value == 1.5
    assert math.isnan(two.low)
    assert json.loads(to_json(two)) == {"value": 1.5, "low": None, "high": None}
    few = [histogram(np.random.default_rng(1), 1.0, 50)] * 3
    assert percentile_estimate(few, 90).known
    assert not percentile_estimate(few, 99.9).known
    assert not percentile_ratio(few, few, 99.9).known
    assert not percentile_ratio(few, [], 50).known
    assert not independent_percentile_ratio(few, few, 99.9).known
    assert not mean_ratio([math.nan], [1.0]).known
    assert mean_estimate([2.0, math.nan, 4.0]).value == 3.0


def test_intervals_are_the_same_every_time() -> None:
    """The resampling is seeded: a report read twice says the same."""
    assert mean_estimate([1.0, 2.0, 4.0]) == mean_estimate([1.0, 2.0, 4.0])


def test_interval_of_equal_rounds_is_a_point() -> None:
    """Rounds that agree exactly leave no uncertainty, and no interval goes below zero."""
    assert mean_estimate([2.0] * 5) == Estimate(2.0, 2.0, 2.0)
    assert mean_estimate([0.001, 0.001, 9.0]).low == 0.0
