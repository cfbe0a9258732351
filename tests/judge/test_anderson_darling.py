"""The Anderson-Darling test for exponential gaps: its statistic, and how often right gaps fail it."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from loadtest.judge.anderson_darling import exponential_statistic, p_value


@pytest.mark.parametrize(("statistic", "p"), [(1.062, 0.10), (1.321, 0.05), (1.591, 0.025), (1.959, 0.01)])
def test_percentage_points_are_those_of_the_table(statistic: float, p: float) -> None:
    """Stephens (1974), table for an estimated scale."""
    assert p_value(statistic) == pytest.approx(p, rel=0.03)


def test_p_value_falls_with_the_statistic() -> None:
    """From 1 to next to 0, also where the parts of the formula meet and beyond where it would turn upwards."""
    values = [p_value(a / 100) for a in range(10, 3_000)]
    assert all(one >= two - 2e-3 for one, two in itertools.pairwise(values))
    assert values[0] > 0.99
    assert 0 < values[-1] < 1e-5
    assert math.isnan(p_value(math.nan))


def test_statistic_is_that_of_scipy() -> None:
    """Against SciPy's, which has the same modification for the size of the sample in its critical values."""
    gaps = np.random.default_rng(3).exponential(1e6, 500).astype(np.int64) + 1
    expected = stats.anderson(gaps, "expon", method="interpolate").statistic
    assert exponential_statistic(gaps) == pytest.approx(expected * (1 + 0.6 / 500), rel=1e-9)


@pytest.mark.parametrize(("size", "runs"), [(100, 40_000), (2_000, 2_000)])
def test_exponential_gaps_fail_as_often_as_they_should(size: int, runs: int) -> None:
    """5 % of them at the 5 % point and 1 in 1,000 at that point, within five standard errors of a count."""
    random = np.random.default_rng(7)
    found = np.array(
        [p_value(exponential_statistic(random.exponential(1e6, size).astype(np.int64))) for _ in range(runs)]
    )
    for p in (0.05, 0.001):
        assert abs(int(np.sum(found < p)) - p * runs) < 5 * math.sqrt(p * runs) + 1


@pytest.mark.parametrize("gaps", [[], [5], [0, 0, 0]])
def test_too_little_has_no_statistic(gaps: list[int]) -> None:
    """No number, and no error."""
    assert math.isnan(exponential_statistic(np.array(gaps, dtype=np.int64)))
