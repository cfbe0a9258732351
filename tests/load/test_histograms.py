import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.load.histogram import HIGHEST, Histogram

durations = st.one_of(
    st.integers(0, 5_000),
    st.integers(0, HIGHEST),
    st.integers(0, 41).flatmap(lambda bits: st.integers(max((1 << bits) - 2, 0), min((1 << bits) + 2, HIGHEST))),
)
samples = st.lists(durations, max_size=200)


def recorded(values: list[int]) -> Histogram:
    """The histogram of these values, recorded in one block."""
    histogram = Histogram()
    histogram.record(np.array(values, dtype=np.int64))
    return histogram


def same(one: Histogram, two: Histogram) -> bool:
    """Whether two histograms are equal in everything they keep."""
    return bool(
        np.array_equal(one.counts, two.counts)
        and (one.count, one.total, one.min, one.max) == (two.count, two.total, two.min, two.max)
    )


def reference(values: list[int]) -> HdrHistogram:
    """The same values in the histogram of the hdrhistogram package, at the same range and precision."""
    histogram = HdrHistogram(1, HIGHEST, 3)
    for value in values:
        assert histogram.record_value(value)
    return histogram


@given(st.lists(samples, max_size=5))
def test_merged_histograms_equal_the_histogram_of_the_union(parts: list[list[int]]) -> None:
    """Counts, sum, minimum and maximum: nothing is lost between processes, in whatever order they are merged."""
    union = recorded([value for part in parts for value in part])
    forwards, backwards = Histogram(), Histogram()
    for part in parts:
        forwards.merge(recorded(part))
    for part in reversed(parts):
        backwards.merge(recorded(part))
    assert same(forwards, union)
    assert same(backwards, union)


@given(samples)
def test_blocks_do_not_matter(values: list[int]) -> None:
    """One block, or one value at a time: the same histogram."""
    single = Histogram()
    for value in values:
        single.record(np.array([value]))
    assert same(single, recorded(values))


@given(st.lists(durations, min_size=1, max_size=60))
@settings(deadline=None)
def test_counts_equal_those_of_the_hdrhistogram_package(values: list[int]) -> None:
    """Counter by counter: the layout of HdrHistogram for 1 ns to an hour at three digits."""
    theirs = reference(values)
    ours = recorded(values)
    counts = np.array([theirs.get_count_at_index(index) for index in np.nonzero(ours.counts)[0]])
    assert np.array_equal(counts, ours.counts[ours.counts > 0])
    assert counts.sum() == theirs.get_total_count()


def test_the_correction_is_that_of_the_hdrhistogram_package() -> None:
    """A stall of a second in a closed loop of 10 ms, corrected, as HdrHistogram records it."""
    values, interval = [10_000_000] * 500 + [1_000_000_000, 35_000_000], 10_000_000
    theirs = HdrHistogram(1, HIGHEST, 3)
    for value in values:
        theirs.record_corrected_value(value, interval)
    ours = Histogram()
    ours.record(np.array(values))
    corrected = ours.corrected(interval)
    assert abs(corrected.count - theirs.get_total_count()) <= 1
    assert corrected.count > len(values) + 95
    for percent in (50, 90, 95, 99, 100):
        assert corrected.percentile(percent) == pytest.approx(theirs.get_value_at_percentile(percent), rel=2e-3)
    assert ours.count == len(values), "what was measured stays as it is"


@given(st.lists(durations, min_size=1, max_size=60), st.data())
@settings(deadline=None)
def test_percentiles_equal_those_of_the_hdrhistogram_package(values: list[int], data: st.DataObject) -> None:
    """At every rank the same value; two conventions differ.

    Between two ranks the package takes the nearer one and this histogram the higher one, which no quarter of a rank
    can move here; and its highest value is that of the counter, here never above the exact maximum.
    """
    rank = data.draw(st.integers(1, len(values)))
    percent = 100 * (rank - 0.25) / len(values)
    expected = min(reference(values).get_value_at_percentile(percent), max(values))
    assert recorded(values).percentile(percent) == expected


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0.001, 100))
def test_percentiles_are_those_of_the_sorted_values(values: list[int], percent: float) -> None:
    """At least so many percent of the values are not above it, and it is within 1 part in 1,024 above a true value."""
    rank = max(math.ceil(percent / 100 * len(values) - 1e-6), 1)
    exact = sorted(values)[rank - 1]
    assert exact <= recorded(values).percentile(percent) <= exact * (1 + 1 / 1_024)


def test_a_rank_that_rounds_up_in_binary_is_not_pushed_up() -> None:
    """99.9 % of 1,000 values is the 999th, though 0.999 * 1000 is a little more than 999 in binary."""
    values = [1] * 999 + [1_000_000]
    assert recorded(values).percentile(99.9) == 1
    assert recorded(values).percentile(100) == 1_000_000


@given(samples)
def test_compact_form_rebuilds_the_histogram(values: list[int]) -> None:
    """What a result file keeps gives back every percentile, the mean and the maximum."""
    histogram = recorded(values)
    rebuilt = Histogram.from_counts(*histogram.nonzero(), histogram.total, histogram.max)
    assert np.array_equal(rebuilt.counts, histogram.counts)
    assert rebuilt.count == histogram.count
    percents = (1, 50, 90, 99, 99.9, 100)
    assert np.array_equal(rebuilt.percentiles(percents), histogram.percentiles(percents), equal_nan=True)
    assert np.array_equal(rebuilt.mean, histogram.mean, equal_nan=True)


def test_nothing_recorded_has_no_percentile() -> None:
    """NaN and not zero: no answer is not a fast answer."""
    assert math.isnan(Histogram().percentile(99))
    assert math.isnan(Histogram().mean)


def test_values_beyond_the_range_are_kept_at_its_ends() -> None:
    """A clock that stepped back, or a day's wait, is counted at the nearest end and not lost."""
    histogram = recorded([-5, 25 * HIGHEST])
    assert (histogram.count, histogram.min, histogram.max) == (2, 0, HIGHEST)


@pytest.mark.parametrize("exponent", range(13))
def test_resolution_is_three_digits_everywhere(exponent: int) -> None:
    """From a nanosecond to an hour, two values 1 part in 1,000 apart never share a counter."""
    value = min(10**exponent * 2, HIGHEST // 2)
    apart = max(value // 1_000, 1)
    assert recorded([value, value + apart]).nonzero()[1] == [1, 1]
