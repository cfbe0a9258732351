"""Trends of made-up series: how often the interval holds the truth, and what is told of leaks, steps and counts."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from loadtest.judge.trend import LEAST_SAMPLES, Trend, ratio_of_thirds, trend

Floats = npt.NDArray[np.float64]
SERIES = 400
"""Of each kind: a share of 0.95 is told to 0.011."""


def noises(random: np.random.Generator, samples: int, correlation: float, series: int = SERIES) -> Floats:
    """First-order autoregressive processes of unit innovations, in their stationary state: (series, samples)."""
    made: Floats = random.standard_normal((samples, series))
    made[0] /= math.sqrt(1 - correlation**2)
    for at in range(1, samples):
        made[at] += correlation * made[at - 1]
    return made.T


def noise(random: np.random.Generator, samples: int, correlation: float) -> Floats:
    """One of them."""
    (one,) = noises(random, samples, correlation, 1)
    return np.array(one)


def told(values: Floats, grain: float = 0.0) -> Trend:
    """The trend of an hour in which two million requests were answered."""
    hours = np.linspace(0.2, 1.0, values.size)
    return trend(hours.tolist(), (2 * hours).tolist(), values.tolist(), grain)


@pytest.mark.parametrize(
    ("samples", "correlation", "share"), [(48, 0.0, 0.93), (100, 0.5, 0.92), (250, 0.8, 0.92), (250, 0.9, 0.90)]
)
@pytest.mark.parametrize("slope", [0.0, 40.0])
def test_the_interval_holds_the_slope_as_often_as_it_says(
    samples: int, correlation: float, share: float, slope: float
) -> None:
    """About 95 times in 100, with a leak and without, also where samples depend on each other for long."""
    random = np.random.default_rng(20261127)
    line = slope * np.linspace(0.2, 1.0, samples)
    found = [told(line + one) for one in noises(random, samples, correlation)]
    assert share < np.mean([one.per_hour.low <= slope <= one.per_hour.high for one in found]) <= 0.98
    assert np.mean([one.per_million.low <= slope / 2 <= one.per_million.high for one in found]) > share
    if not slope:
        assert np.mean([one.told in ("grows", "shrinks", "settled") for one in found]) < 1.02 - share


def test_the_usual_interval_would_not_hold() -> None:
    """Of least squares with independent errors, at the same series: that is why there is another."""
    random = np.random.default_rng(20261127)
    at = np.linspace(-1.0, 1.0, 250)
    held = 0
    for series in noises(random, 250, 0.9):
        slope = at @ series / (at @ at)
        left = series - series.mean() - slope * at
        held += abs(slope) <= 1.97 * math.sqrt(left @ left / 248 / (at @ at))
    assert held / SERIES < 0.5


def test_the_smallest_slope_is_told_four_times_in_five() -> None:
    """The one that a series claims it would have told is told in other series of the kind."""
    random = np.random.default_rng(7)
    smallest = np.mean([told(one).smallest_per_hour for one in noises(random, 200, 0.5, 100)])
    line = smallest * np.linspace(0.2, 1.0, 200)
    found = [told(line + one).per_hour.low > 0 for one in noises(random, 200, 0.5)]
    assert 0.72 < np.mean(found) < 0.88


def test_a_leak_is_told_with_its_size() -> None:
    """Per hour and per million requests."""
    random = np.random.default_rng(3)
    found = told(100 + 30 * np.linspace(0.2, 1.0, 200) + noise(random, 200, 0.5))
    assert found.told == "grows"
    assert found.per_hour.low < 30 < found.per_hour.high
    assert found.per_million.low < 15 < found.per_million.high
    assert found.samples == 200


def test_what_is_given_back_shrinks() -> None:
    """The other way round."""
    assert told(-50 * np.linspace(0.2, 1.0, 100) + noise(np.random.default_rng(3), 100, 0.0)).told == "shrinks"


def test_a_pool_that_fills_has_settled() -> None:
    """A rise in the first half with none in the second is no leak, and is told apart from one."""
    rise = np.minimum(np.linspace(0, 100, 200), 30.0)
    found = told(rise + 0.5 * noise(np.random.default_rng(5), 200, 0.0))
    assert found.told == "settled"
    assert found.per_hour.low > 0


def test_a_count_that_never_changes_has_no_trend() -> None:
    """Exactly none; and it is told that one more in the whole time would have been the least to be seen."""
    found = told(np.full(100, 17.0), grain=1.0)
    assert found.told == "none"
    assert (found.per_hour.value, found.per_hour.low, found.per_hour.high) == (0.0, 0.0, 0.0)
    assert found.smallest_per_hour == pytest.approx(1 / 0.8)


def test_a_helper_that_is_seen_more_often_is_no_growing_count() -> None:
    """TorchServe's process that collects metrics once a minute: a fifth of a descriptor more in the whole time."""
    seen = np.full(250, 70.0)
    seen[[36, 45, 64, 115, 133, 142, 152, 161, 180, 191, 202, 213, 224, 233, 238, 244, 249]] = 72.0
    assert told(seen).told == "grows"
    assert told(seen, grain=1.0).told == "none"
    assert told(seen + np.linspace(0, 3, 250).round(), grain=1.0).told == "grows"


def test_too_few_samples_tell_nothing() -> None:
    """Samples that are not known do not count."""
    values = np.full(LEAST_SAMPLES + 10, np.nan)
    values[: LEAST_SAMPLES - 1] = 5.0
    found = told(values)
    assert (found.told, found.samples, found.mean) == ("unknown", LEAST_SAMPLES - 1, 5.0)
    assert not found.per_hour.known
    assert math.isnan(ratio_of_thirds(values.tolist()).value)


def test_the_ratio_of_thirds_holds_the_truth() -> None:
    """About 95 times in 100, for a percentile that rises by a tenth and one that stays."""
    random = np.random.default_rng(11)
    for rise in (1.0, 1.1):
        line = np.log(5.0) + np.log(rise) * np.linspace(-0.75, 0.75, 120)
        found = [ratio_of_thirds(np.exp(line + 0.1 * one).tolist()) for one in noises(random, 120, 0.5)]
        assert 0.92 < np.mean([one.low <= rise <= one.high for one in found]) <= 0.98
