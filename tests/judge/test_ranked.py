"""Percentiles over all requests: a failed one is slower than any answer."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.experiments.simulation import CORRECT, FaultyServer, FifoServer, fixed, simulate
from loadtest.judge.ranked import ranked_percentiles
from loadtest.load.histogram import Histogram
from loadtest.load.schedule import Constant, Poisson


def histogram(values: list[int]) -> Histogram:
    """The answers' times, in nanoseconds."""
    whole = Histogram()
    whole.record(np.array(values, dtype=np.int64))
    return whole


@given(st.lists(st.integers(1, 2_000), max_size=60), st.integers(0, 60), st.floats(0, 100))
def test_it_is_the_percentile_of_a_list_with_infinities(answers: list[int], failed: int, percent: float) -> None:
    """Against the definition: sort the answers, put the failed ones behind them, take the rank."""
    everything = [*map(float, sorted(answers)), *[math.inf] * failed]
    (found,) = ranked_percentiles(histogram(answers), failed, [percent])
    if not everything:
        assert math.isnan(found)
        return
    rank = max(math.ceil(percent / 100 * len(everything) - 1e-6), 1)
    assert found == pytest.approx(everything[rank - 1], abs=1)


def test_answers_alone_have_the_percentiles_of_their_histogram() -> None:
    """Without a failed request nothing changes."""
    answers = histogram(list(range(1, 1_001)))
    wanted = [50.0, 99.0, 99.9]
    assert ranked_percentiles(answers, 0, wanted) == answers.percentiles(wanted)


class Shedding:
    """Refuses at once what arrives while so many requests are in its queue."""

    def __init__(self, server: FifoServer, queue: int) -> None:
        self._server, self._queue, self._ends = server, queue, list[int]()

    def answer(self, now: int) -> tuple[int, str]:
        """A quick 503, or an answer in its turn."""
        self._ends = [end for end in self._ends if end > now]
        if len(self._ends) >= self._queue:
            return now + 100_000, "http_503"
        end, _ = self._server.answer(now)
        self._ends.append(end)
        return end, CORRECT


def test_shedding_load_does_not_make_a_server_fast() -> None:
    """Two equal servers at 95 % load: the one that refuses a tenth of it has the faster answers and no p99."""
    load = Poisson(950.0, 30.0)
    patient = simulate(load, FifoServer(fixed(0.001)), connections=256)
    shedding = simulate(load, Shedding(FifoServer(fixed(0.001)), queue=2), connections=256)
    assert shedding.tally.failed > 0.05 * shedding.tally.scheduled
    assert shedding.tally.response.percentile(99) < patient.tally.response.percentile(99)
    assert math.isinf(shedding.response_ms(99))
    assert math.isfinite(patient.response_ms(99))
    assert shedding.result().response_time_ms.p99 == math.inf
    assert shedding.response_ms(50) == pytest.approx(patient.response_ms(50), rel=1.0)


def test_a_few_failures_move_a_percentile_up() -> None:
    """Half of the share beyond p99 fails: its rank is that of the 99.5th percentile of the answers."""
    result = simulate(
        Constant(1_000.0, 20.0), FaultyServer(FifoServer(fixed(0.0005)), {"http_500": 0.005}), connections=8
    )
    failed = result.tally.failed
    assert 0 < failed < 0.01 * result.tally.scheduled
    rank = math.ceil(0.99 * result.tally.scheduled - 1e-6)
    expected = result.tally.response.percentile(100 * rank / result.tally.ok) / 1e6
    assert result.response_ms(99) == pytest.approx(expected)
