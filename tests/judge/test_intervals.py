"""Intervals over rounds: how often they hold the truth, and what is told where little is known."""

import json
import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
import pytest

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import (
    Estimate,
    geometric_estimate,
    independent_percentile_ratio,
    independent_ratio,
    is_tie,
    mean_estimate,
    paired_ratio,
    percentile_estimate,
    percentile_ratio,
)
from loadtest.judge.ranked import RoundTimes
from loadtest.judge.summary import ratios, summarise
from loadtest.load.histogram import Histogram
from loadtest.records import to_json

ValueT = TypeVar("ValueT")
TRUE_RATIO = 1.25
SITTINGS = 600
# Four standard deviations of a count of SITTINGS trials at 95 %.
SPREAD = 4 * math.sqrt(0.95 * 0.05 / SITTINGS)


def times(random: np.random.Generator, scale_ms: float, count: int = 1_250, failed: int = 0) -> RoundTimes:
    """One round of exponential response times."""
    recorded = Histogram()
    recorded.record((random.exponential(scale_ms * 1e6, count)).astype(np.int64))
    return RoundTimes(recorded, failed)


def numbered(values: Iterable[ValueT]) -> dict[int, ValueT]:
    """Values by number of their round."""
    return dict(enumerate(values, 1))


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
        hits += covered(paired_ratio(numbered(ours.tolist()), numbered(theirs.tolist())), TRUE_RATIO)
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
        ours = numbered(times(random, 5 * TRUE_RATIO * scale) for scale in minute)
        theirs = numbered(times(random, 5 * scale) for scale in minute)
        hits += covered(percentile_ratio(ours, theirs, 90), TRUE_RATIO)
    assert hits / sittings > 0.95 - 4 * math.sqrt(0.95 * 0.05 / sittings)


def test_intervals_from_different_sittings_cover_the_truth() -> None:
    """Rounds that were not run side by side are drawn apart: at least 95 in 100."""
    random = np.random.default_rng(8)
    hits = 0
    for _ in range(SITTINGS):
        ours = 10 * TRUE_RATIO * random.lognormal(0, 0.1, 4)
        theirs = 10 * random.lognormal(0, 0.1, 4)
        hits += covered(independent_ratio(ours.tolist(), theirs.tolist()), TRUE_RATIO)
    assert hits / SITTINGS > 0.95 - SPREAD


def test_pairing_takes_the_common_disturbance_out() -> None:
    """Two servers that slow down together: the paired ratio is far surer than the ratio of strangers."""
    minute = np.random.default_rng(9).lognormal(0, 0.5, 8)
    ours, theirs = (minute * 12).tolist(), (minute * 10).tolist()
    paired, apart = paired_ratio(numbered(ours), numbered(theirs)), independent_ratio(ours, theirs)
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
        ties += is_tie(paired_ratio(numbered(ours.tolist()), numbered(theirs.tolist())))
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
def test_the_interval_is_that_of_students_t(rounds: int, student_t: float) -> None:
    """By the textbook: the mean and t times the standard error, with the tabled quantiles."""
    values = np.random.default_rng(rounds).normal(100.0, 5.0, rounds)
    half = student_t * values.std(ddof=1) / math.sqrt(rounds)
    found = mean_estimate(values.tolist())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-4)
    logs = geometric_estimate(np.exp(values / 50).tolist())
    assert math.log(logs.high) * 50 == pytest.approx(values.mean() + half, rel=1e-4)
    assert math.log(logs.value) * 50 == pytest.approx(values.mean())


@pytest.mark.parametrize("rounds", [3, 5])
def test_intervals_of_p99_cover_the_truth_95_times_in_100(rounds: int) -> None:
    """Rounds of 1,250 exponential times whose scale differs by 15 %: the p99 of the middle round is held."""
    random = np.random.default_rng(rounds)
    truth = 5 * math.log(100)
    hits = 0
    for _ in range(SITTINGS):
        scales = 5 * random.lognormal(0, 0.15, rounds)
        hits += covered(percentile_estimate([times(random, scale) for scale in scales], 99), truth)
    assert hits / SITTINGS > 0.95 - SPREAD


def test_rounds_are_paired_by_their_number() -> None:
    """A round that one side lacks shifts nothing: the others are still compared with those they ran beside."""
    minute = {1: 1.0, 2: 4.0, 3: 2.0, 4: 8.0, 5: 3.0}
    ours = {number: 12 * value for number, value in minute.items() if number != 2}
    theirs = {number: 10 * value for number, value in reversed(minute.items()) if number != 4}
    found = paired_ratio(ours, theirs)
    assert (found.value, found.low, found.high) == pytest.approx((1.2, 1.2, 1.2))


def test_a_server_that_fails_too_much_is_never_in_a_tie() -> None:
    """Its percentile is infinite in one round: it is behind the other, whatever the other rounds say."""
    random = np.random.default_rng(12)
    good = [times(random, 10.0) for _ in range(3)]
    failing = [times(random, 1.0), times(random, 1.0), times(random, 1.0, failed=40)]
    assert percentile_estimate(failing, 99).value == math.inf
    assert percentile_estimate(failing, 50).value < percentile_estimate(good, 50).value
    ratio = percentile_ratio(numbered(failing), numbered(good), 99)
    assert ratio == Estimate(math.inf, math.inf, math.inf)
    assert not is_tie(ratio)
    assert percentile_ratio(numbered(good), numbered(failing), 99) == Estimate(0.0, 0.0, 0.0)
    assert not percentile_ratio(numbered(failing), numbered(failing), 99).known
    assert independent_percentile_ratio(failing, good, 99).low == math.inf


def test_what_is_not_known_stays_unknown() -> None:
    """No rounds, too few rounds for an interval, too few samples for the percentile, rounds without a value."""
    assert not mean_estimate([]).known
    assert not mean_estimate([math.nan]).known
    two = mean_estimate([1.0, 2.0])
    assert two.value == 1.5
    assert math.isnan(two.low)
    assert json.loads(to_json(two)) == {"value": 1.5, "low": None, "high": None}
    few = [times(np.random.default_rng(1), 1.0, 120)] * 3
    assert percentile_estimate(few, 90).known
    assert not percentile_estimate(few, 99.9).known
    assert not percentile_ratio(numbered(few), numbered(few), 99.9).known
    assert not percentile_ratio(numbered(few), {}, 50).known
    assert not independent_percentile_ratio(few, few, 99.9).known
    assert not paired_ratio({1: math.nan}, {1: 1.0}).known
    assert not independent_ratio([], [1.0]).known
    assert mean_estimate([2.0, math.nan, 4.0]).value == 3.0


@pytest.mark.parametrize("estimate", [mean_estimate, geometric_estimate])
def test_an_infinite_round_makes_the_estimate_infinite(estimate: Callable[[list[float]], Estimate]) -> None:
    """The value and the upper end; the lowest round is the lower end, from three rounds on."""
    assert estimate([2.0, math.inf, 1.0]) == Estimate(math.inf, 1.0, math.inf)
    assert estimate([math.inf] * 3) == Estimate(math.inf, math.inf, math.inf)
    two = estimate([2.0, math.inf])
    assert two.value == math.inf
    assert math.isnan(two.low)


def test_the_ratio_of_two_servers_is_that_of_the_numbers_that_are_told_of_them(comparison: ComparisonResult) -> None:
    """Where both were in the same rounds; arithmetic means would give another one, and that of the inverse a third."""
    rows = {row.key: row for row in summarise(comparison.servers, 1)}
    whole = {server.key for server in comparison.servers if len(server.valid_ceiling_rounds) == comparison.plan.rounds}
    found = [one for one in ratios(comparison.servers) if one.measure == "ceiling" and {one.one, one.two} <= whole]
    assert found
    for one in found:
        told = rows[one.one].ceiling_rps.value / rows[one.two].ceiling_rps.value
        assert one.ratio.value == pytest.approx(told)


def test_interval_of_equal_rounds_is_a_point() -> None:
    """Rounds that agree exactly leave no uncertainty, and no interval goes below zero."""
    assert mean_estimate([2.0] * 5) == Estimate(2.0, 2.0, 2.0)
    assert mean_estimate([0.001, 0.001, 9.0]).low == 0.0
    assert geometric_estimate([0.0, 1.0, 2.0]) == mean_estimate([0.0, 1.0, 2.0])
