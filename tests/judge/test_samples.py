"""The rule of MLPerf's early stopping, against its published figures and against the definition."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from loadtest.judge.samples import certified_rank, enough_samples, furthest, needed


@pytest.mark.parametrize(("percent", "requests"), [(99.0, 662), (99.9, 6_636), (90.0, 64), (95.0, 130), (50.0, 11)])
def test_a_percentile_needs_as_many_requests_as_mlperf_says(percent: float, requests: int) -> None:
    """662 for p99 and 6,636 for p99.9 are published; the others follow from the same binomial."""
    assert needed(percent) == requests
    assert enough_samples(requests, percent)
    assert not enough_samples(requests - 1, percent)
    assert binom.cdf(1, requests, 1 - percent / 100) <= 0.01 < binom.cdf(1, requests - 1, 1 - percent / 100)


@pytest.mark.parametrize("percent", [50.0, 90.0, 99.0])
@pytest.mark.parametrize("count", [11, 64, 662, 700, 1_250, 10_000])
def test_the_certified_rank_is_that_of_the_definition(count: int, percent: float) -> None:
    """As many are set aside as are seen once in a hundred runs at most, one at least."""
    rank = certified_rank(count, percent)
    beyond = 1 - percent / 100
    allowed = [slower for slower in range(count) if binom.cdf(slower, count, beyond) <= 0.01]
    if not allowed or max(allowed) < 1:
        assert rank is None
    else:
        assert rank == count - max(allowed)


def test_the_certified_bound_is_above_the_percentile_99_times_in_100() -> None:
    """Of 4,000 runs of 700 requests with a known p99, the bound is below it in 1 % at most, but for chance."""
    random = np.random.default_rng(5)
    runs, count = 4_000, 700
    rank = certified_rank(count, 99.0)
    assert rank is not None
    bounds = np.sort(random.exponential(1.0, (runs, count)), axis=1)[:, rank - 1]
    below = float((bounds < math.log(100)).mean())
    assert below < 0.01 + 4 * math.sqrt(0.01 * 0.99 / runs)
    assert below > 0.001, "a bound that is never below is of no use"


def test_the_furthest_percentile_is_one_that_the_requests_carry() -> None:
    """Just so many are needed for it; the median is the nearest one."""
    for count in (11, 64, 662, 6_636, 100_000):
        percent = furthest(count)
        assert enough_samples(count, percent - 1e-9)
        assert not enough_samples(count - 1, percent + 1e-9)
    assert furthest(662) == pytest.approx(99.0, abs=0.002)
    assert math.isnan(furthest(10))
    assert not enough_samples(10**12, 100.0)
