"""Successive response times depend on each other, and the interval of a single run is wider for it."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from loadtest.experiments.simulation import FifoServer, exponential, simulate
from loadtest.judge.dependence import effective, lag_one_correlation, percentile_interval
from loadtest.judge.findings import DEPENDENT
from loadtest.judge.measured import MeasuredRun
from loadtest.load.histogram import Histogram
from loadtest.load.schedule import Poisson

SERVICE_S = 0.001


def mm1(utilisation: float, seed: int, duration_s: float = 20.0) -> MeasuredRun:
    """One worker, exponential service times; sojourn times are exponential with rate mu - lambda."""
    rate = utilisation / SERVICE_S
    return simulate(
        Poisson(rate, duration_s), FifoServer(exponential(SERVICE_S, 1_000 + seed)), connections=512, seed=seed
    )


def test_the_correlation_is_spearmans() -> None:
    """Against SciPy, ties among the values included, and averaged over blocks by their length."""
    random = np.random.default_rng(1)
    walk = np.round(np.cumsum(random.normal(size=500))).astype(np.float64)
    expected = float(spearmanr(walk[:-1], walk[1:]).statistic)
    assert lag_one_correlation([walk]) == pytest.approx(expected, abs=2e-3)
    noise = random.normal(size=1_500)
    both = lag_one_correlation([walk, noise])
    assert both == pytest.approx((500 * lag_one_correlation([walk]) + 1_500 * lag_one_correlation([noise])) / 2_000)
    assert math.isnan(lag_one_correlation([]))
    assert math.isnan(lag_one_correlation([np.ones(100)])), "values that are all the same have no ranks"


def test_a_queue_makes_response_times_dependent_and_that_is_told() -> None:
    """At 90 % load they follow each other closely; at 5 % they hardly do."""
    busy, idle = mm1(0.9, seed=5), mm1(0.05, seed=5)
    assert busy.correlation > 0.8
    assert abs(idle.correlation) < 0.15
    assert DEPENDENT in {finding.code for finding in busy.verdict.findings}
    assert DEPENDENT not in {finding.code for finding in idle.verdict.findings}
    record = busy.result()
    assert record.correlation == busy.correlation


def test_dependent_requests_are_worth_fewer() -> None:
    """By the formula; never more than there are, and none is lost where nothing is known."""
    assert effective(1_000, 0.5) == pytest.approx(1_000 / 3)
    assert effective(1_000, 0.0) == effective(1_000, -0.4) == effective(1_000, math.nan) == 1_000
    assert effective(1_000, 1.0) > 0


def test_the_wider_interval_holds_the_truth_more_often() -> None:
    """The median of M/M/1 at 80 % load, in 60 runs: plain intervals hold it rarely, the widened ones far more often."""
    truth = math.log(2) / (1 / SERVICE_S - 0.8 / SERVICE_S) * 1e9
    plain = widened = 0
    for seed in range(60):
        run = mm1(0.8, seed=seed + 1, duration_s=10.0)
        for correlation, adds in ((0.0, (1, 0)), (run.correlation, (0, 1))):
            low, high = percentile_interval(run.tally.response, 0, 50.0, correlation)
            held = low <= truth <= high
            plain += held * adds[0]
            widened += held * adds[1]
    assert plain < 30
    assert widened > plain + 15


def test_independent_requests_have_the_textbook_interval() -> None:
    """Of 600 runs of 1,000 independent times the interval of the median holds it 95 times in 100."""
    random = np.random.default_rng(7)
    held = 0
    for _ in range(600):
        answers = Histogram()
        answers.record((random.exponential(1e6, 1_000)).astype(np.int64))
        low, high = percentile_interval(answers, 0, 50.0, 0.0)
        held += low <= math.log(2) * 1e6 <= high
    assert abs(held / 600 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 600)


def test_an_end_beyond_the_requests_is_not_known() -> None:
    """Of 100 requests nothing bounds p99 from above; failed ones make it infinite."""
    answers = Histogram()
    answers.record(np.arange(1, 101) * 1_000)
    low, high = percentile_interval(answers, 0, 99.0, 0.0)
    assert low > 0
    assert math.isnan(high)
    assert percentile_interval(answers, 50, 50.0, 0.0)[1] < math.inf
    assert percentile_interval(answers, 100, 60.0, 0.0)[1] == math.inf
    assert all(map(math.isnan, percentile_interval(Histogram(), 0, 50.0, 0.0)))
