"""The ratio of two capacities, and who is told to carry less."""

import math

import pytest

from loadtest.judge.capacity_estimate import capacity_ratio, less_than
from loadtest.judge.capacity_result import Capacity
from loadtest.judge.intervals import Estimate

UNKNOWN = math.nan


def capacity(value: float, low: float, high: float) -> Capacity:
    """A capacity with this interval."""
    return Capacity(
        objective="p99<50ms, errors<0.1%",
        percent=99.0,
        limit_ms=50.0,
        rate_rps=value,
        estimate_rps=Estimate(value, low, high),
        searches=[value],
        bounded_by_client=math.isnan(low),
        limits=[],
        probes=[],
    )


def test_the_ratio_has_an_interval_that_comes_from_both() -> None:
    """Two equal intervals of a factor 1.1 give one of 1.1 to the power of the root of two, either way round."""
    one, two = capacity(1_000, 1_000 / 1.1, 1_100), capacity(500, 500 / 1.1, 550)
    ratio = capacity_ratio(one, two)
    wider = 1.1 ** math.sqrt(2)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2.0 / wider, 2.0 * wider))
    back = capacity_ratio(two, one)
    assert (back.value, back.low, back.high) == pytest.approx((1 / ratio.value, 1 / ratio.high, 1 / ratio.low))


@pytest.mark.parametrize(
    ("one", "two", "less"),
    [
        pytest.param((920, 880, 962), (1_000, 950, 1_052), True, id="they overlap, their ratio leaves out 1"),
        pytest.param((1_000, 950, 1_052), (920, 880, 962), False, id="it is the larger one"),
        pytest.param((950, 905, 998), (1_000, 950, 1_052), False, id="the ratio spans 1"),
        pytest.param((0, 0, 10), (50, 40, 60), True, id="none at all against some"),
        pytest.param((0, 0, 45), (50, 40, 60), False, id="none at any rate tried, which were higher"),
        pytest.param((400, UNKNOWN, UNKNOWN), (1_000, 950, 1_050), False, id="a lower bound"),
    ],
)
def test_less_is_what_the_ratio_tells(
    one: tuple[float, float, float], two: tuple[float, float, float], less: bool
) -> None:
    """The interval of the ratio decides; where there is none, the two intervals."""
    assert less_than(capacity(*one), capacity(*two)) is less
