"""Bursty arrivals: their gaps, their start, and what becomes of them over several processes."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.experiments.simulation import FifoServer, fixed, simulate
from loadtest.load.bursty import MAX_CV, Gamma
from loadtest.load.schedule import MAX_DURATION_S, MAX_RATE, NS, Constant, Poisson

schedules = st.builds(Gamma, st.floats(0.5, 20_000.0), st.floats(0.01, 0.5), st.floats(0.01, 5.0))


@given(schedules, st.integers(0, 2**32 - 1))
def test_times_ascend_within_the_duration(schedule: Gamma, seed: int) -> None:
    """Whole nanoseconds, ascending, within the duration, and the same again from the same seed."""
    times = list(schedule.times(seed))
    assert times == sorted(times)
    assert all(isinstance(time, int) for time in times)
    assert not times or (times[0] >= 0 and times[-1] < schedule.duration_s * NS)
    assert times == list(schedule.times(seed))


@given(schedules, st.integers(1, 7), st.integers(0, 1_000))
def test_parts_are_the_whole_dealt_out(schedule: Gamma, parts: int, seed: int) -> None:
    """Drawn from one seed, the parts are exactly the sends of the whole, each its turn; and divided again, too."""
    whole = list(schedule.times(seed))
    dealt = schedule.split(parts)
    assert all(part.dealt for part in dealt)
    for number, part in enumerate(dealt):
        assert list(part.times(seed)) == whole[number::parts]
    assert sum(part.rate for part in dealt) == pytest.approx(schedule.rate)
    again = dealt[-1].split(2)
    assert sorted(itertools.chain.from_iterable(part.times(seed) for part in again)) == list(dealt[-1].times(seed))


def test_a_part_longer_than_a_block_is_dealt_out_right() -> None:
    """Turns go on across the blocks that are drawn."""
    whole = list(Gamma(1_000.0, 20.0, 2.0).times(5))
    assert len(whole) > 10_000
    for number, part in enumerate(Gamma(1_000.0, 20.0, 2.0).split(3)):
        assert list(part.times(5)) == whole[number::3]


@pytest.mark.parametrize("cv", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_gaps_have_the_mean_and_the_variation_of_the_name(cv: float) -> None:
    """Mean 1 / rate, standard deviation cv / rate."""
    gaps = np.diff(np.array(list(Gamma(1_000.0, 400.0, cv).times(3)))) / NS
    assert gaps.mean() == pytest.approx(0.001, rel=5 * cv / math.sqrt(gaps.size))
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


@pytest.mark.parametrize("cv", [0.5, 4.0])
def test_the_start_is_no_different_from_the_rest(cv: float) -> None:
    """The first tenth holds a tenth of the requests on average: the process did not begin with a send or a pause.

    A process that began with a send would hold (cv**2 - 1) / 2 more than its rate says: 7.5 more of 10 here at cv 4.
    """
    starts = [sum(time < NS for time in Gamma(10.0, 1.5, cv).times(seed)) for seed in range(3_000)]
    spread = 5 * float(np.std(starts)) / math.sqrt(len(starts))
    assert spread < 2
    assert float(np.mean(starts)) == pytest.approx(10.0, abs=spread)


def test_parts_superposed_from_seeds_of_their_own_would_lose_the_bursts() -> None:
    """Why they are dealt out: eight gamma processes of an eighth of the rate are less bursty together."""
    alone = [list(Gamma(125.0, 100.0, 4.0).times(seed)) for seed in range(8)]
    superposed = np.diff(sorted(itertools.chain.from_iterable(alone)))
    dealt = np.diff(sorted(itertools.chain.from_iterable(p.times(1) for p in Gamma(1_000.0, 100.0, 4.0).split(8))))
    assert superposed.std() / superposed.mean() < 3.2
    assert dealt.std() / dealt.mean() == pytest.approx(4, rel=0.1)


def test_bursts_make_a_queue_that_poisson_arrivals_do_not() -> None:
    """The same server at the same rate: the more the arrivals vary, the longer the waits."""
    waits = [
        simulate(schedule, FifoServer(fixed(0.001)), connections=64, seed=2).tally.response.mean
        for schedule in (
            Constant(500.0, 200.0),
            Gamma(500.0, 200.0, 0.5),
            Poisson(500.0, 200.0),
            Gamma(500.0, 200.0, 3.0),
        )
    ]
    assert waits == sorted(waits)
    assert waits[3] > 2 * waits[2]


def test_memory_of_a_long_schedule_is_that_of_one_block() -> None:
    """A week at the highest rate can be begun at once."""
    first = list(itertools.islice(Gamma(MAX_RATE, MAX_DURATION_S, 1.0).times(1), 5_000))
    assert first == sorted(first)


@pytest.mark.parametrize("cv", [0.0, -1.0, math.nan, math.inf, MAX_CV * 1.01])
def test_impossible_variations_are_refused(cv: float) -> None:
    """None, less than none, and more than any traffic has."""
    with pytest.raises(UsageError, match="coefficient of variation must be above"):
        Gamma(1.0, 1.0, cv)
