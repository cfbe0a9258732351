"""A server that stops for 1 s in every 5: closed loop before and after the correction, beside the open loop."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.experiments.simulation import FifoServer, Stalls, exponential, fixed, simulate
from loadtest.load.histogram import Histogram
from loadtest.load.schedule import Closed, Constant
from loadtest.records import to_json

MS = 1_000_000
RESOLUTION = 1 / 1_024


def stalling_server(connections: int = 1) -> FifoServer:
    """1 ms a request, and nothing for 1 s in every 5."""
    return FifoServer(fixed(0.001), workers=connections, stalls=Stalls(5.0, 1.0))


@pytest.mark.parametrize("connections", [1, 4])
def test_the_corrected_closed_loop_comes_near_to_the_open_loop(connections: int) -> None:
    """p95 and p99: 1 ms before the correction, and within 10 % of the open loop's after it.

    A fifth of the arrivals of the open loop meets the stall, so its p99 is 950 ms and a little more for the drain. The
    closed loop sends every 1.25 ms on the mean: 800 more values for each stall beside 4,000 answers, a sixth of them
    all, evenly between 0 and 1 s: p99 is 1000 (1 - 0.01 * 6) = 940 ms.
    """
    opened = simulate(Constant(100.0, 200.0), stalling_server(), connections=8).result()
    closed = simulate(Closed(200.0), stalling_server(connections), connections=connections).result()
    corrected = closed.corrected_response_time_ms
    assert corrected is not None
    assert closed.response_time_ms.p99 == pytest.approx(1.0, rel=RESOLUTION)
    assert closed.expected_interval_ms == pytest.approx(1.25, rel=1e-3)
    assert corrected.p99 == pytest.approx(940, rel=0.01)
    assert corrected.p99 == pytest.approx(opened.response_time_ms.p99, rel=0.1)
    assert corrected.p95 == pytest.approx(opened.response_time_ms.p95, rel=0.1)
    assert corrected.max == closed.response_time_ms.max


def test_an_open_loop_needs_no_correction() -> None:
    """It has none in its result."""
    document = json.loads(to_json(simulate(Constant(100.0, 10.0), stalling_server(), connections=8).result()))
    assert document["corrected_response_time_ms"] is document["expected_interval_ms"] is None


def test_a_steady_server_needs_next_to_none() -> None:
    """Answers of one length stay as they were; exponential ones gain some, since the rule knows no better."""
    same = simulate(Closed(20.0), FifoServer(fixed(0.001)), connections=1).result()
    assert same.corrected_response_time_ms is not None
    assert same.corrected_response_time_ms.p99 == same.response_time_ms.p99
    varying = simulate(Closed(100.0), FifoServer(exponential(0.001, seed=1)), connections=1).result()
    assert varying.corrected_response_time_ms is not None
    assert 1 < varying.corrected_response_time_ms.p99 / varying.response_time_ms.p99 < 1.3


def by_the_rule(histogram: Histogram, interval: int) -> Histogram:
    """HdrHistogram's rule, value by value: from each the values one interval shorter, down to one interval."""
    copy, values = Histogram(), []
    for value, count in zip(*histogram.nonzero(), strict=True):
        for missing in itertools.count(min(value, histogram.max), -interval):
            values += [missing] * count
            if missing - interval < interval:
                break
    copy.record(np.array(values, dtype=np.int64))
    return copy


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=40), st.integers(50, 5_000))
def test_the_correction_is_that_of_hdrhistogram(values: list[int], interval: int) -> None:
    """The same counts in every bucket, and the same extremes, as value by value."""
    histogram = Histogram()
    histogram.record(np.array(values))
    corrected, expected = histogram.corrected(interval), by_the_rule(histogram, interval)
    assert corrected.nonzero() == expected.nonzero()
    assert (corrected.count, corrected.max) == (expected.count, expected.max)
    assert corrected.min == min(expected.min, histogram.min)
    assert corrected.mean == pytest.approx(expected.mean, rel=2 * RESOLUTION, abs=1)


@pytest.mark.parametrize("interval", [0, -1])
def test_no_interval_corrects_nothing(interval: int) -> None:
    """A copy, and the original is never touched."""
    histogram = Histogram()
    histogram.record(np.array([1, 50, 1_000]))
    before = histogram.nonzero()
    assert histogram.corrected(interval).nonzero() == before
    assert histogram.corrected(10).count > 3
    assert histogram.nonzero() == before
    assert Histogram().corrected(5).count == 0


def test_a_stall_of_minutes_among_microseconds_is_corrected_at_once() -> None:
    """Ten million missing values are counted, not listed."""
    histogram = Histogram()
    histogram.record(np.array([20_000] * 1_000 + [200_000 * MS]))
    corrected = histogram.corrected(20_000)
    assert corrected.count == 1_000 + 10_000_000
    assert corrected.percentile(50) == pytest.approx(100_000 * MS, rel=0.01)
