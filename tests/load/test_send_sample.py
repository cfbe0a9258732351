"""The bounded sample of what was sent: whole stretches, over several processes, of runs of any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.experiments.simulation import FaultyServer, FifoServer, exponential, simulate
from loadtest.load.schedule import NS, Closed, Poisson
from loadtest.load.send_sample import FAILED, MOST, PERIODS, SendSample


def filled(times: list[int], duration_s: float, block: int = 1_000) -> SendSample:
    """A sample of requests due at these times, which are sent 1, answered 2 later, given block by block."""
    sample = SendSample(duration_s)
    for first in range(0, len(times), block):
        due = np.array(times[first : first + block])
        sample.add(due, due, due + 1, np.full(due.size, 2))
    return sample


def test_a_short_run_is_kept_whole() -> None:
    """Every request, in order of its intended send, in one stretch, whatever the order in which it came."""
    times = list(Poisson(1_000.0, 10.0).times(1))
    requests = filled(times[::-1], 10.0).requests
    assert requests.intended.tolist() == times
    assert requests.sent.tolist() == [time + 1 for time in times]
    assert set(requests.stretch.tolist()) == {0}


def test_ten_million_requests_need_the_memory_of_a_few() -> None:
    """What is kept lies in the first part of each of twenty periods, whole, and is no more than the limit."""
    rate, duration_s = 1_000_000, 10.0
    sample, kept = SendSample(duration_s), []
    for second in range(10):
        due = np.arange(second * rate, (second + 1) * rate) * 1_000
        sample.add(due, due, due, due)
        kept.append(sample.requests.intended.size)
    assert max(kept) <= MOST
    requests = sample.requests
    assert requests.intended.size > MOST // 3
    assert sorted(set(requests.stretch.tolist())) == list(range(PERIODS))
    follow = np.diff(requests.stretch) == 0
    assert set(np.diff(requests.intended)[follow].tolist()) == {1_000}, "nothing is missing within a stretch"


@given(st.integers(1, 4), st.integers(0, 1_000))
@settings(deadline=None, max_examples=6)
def test_processes_add_up_to_the_sample_of_one(processes: int, seed: int) -> None:
    """Dealt out over processes that keep stretches of different lengths: within each, every request of all of them."""
    times = list(Poisson(20_000.0, 10.0).times(seed))
    parts = [filled(times[number::processes], 10.0) for number in range(processes)]
    for other in parts[1:]:
        parts[0].merge(other)
    requests = parts[0].requests
    assert requests.intended.size <= MOST
    period = round(10.0 * NS / PERIODS)
    longest = max(time % period for time in requests.intended.tolist())
    assert set(requests.intended.tolist()) >= {time for time in times if time % period <= longest}


def test_failed_requests_are_among_them() -> None:
    """Their sends are as real as others': none is missing, and they rank behind every answer."""
    server = FaultyServer(FifoServer(exponential(0.001, seed=1)), {"http_500": 0.1}, unanswered=0.01)
    tally = simulate(Poisson(200.0, 20.0), server, connections=32, timeout_s=0.5).tally
    requests = tally.sends.requests
    assert requests.intended.tolist() == list(Poisson(200.0, 20.0).times(1))
    assert int(np.sum(requests.response == FAILED)) == tally.errors.total() > 0


def test_a_closed_loop_is_sampled_too() -> None:
    """Its rate is not known beforehand, and need not be."""
    tally = simulate(Closed(100.0), FifoServer(exponential(0.001, seed=1), workers=4), connections=4).tally
    assert tally.ok > 2 * MOST
    assert MOST // 3 < tally.sends.requests.intended.size <= MOST


def test_a_sample_of_no_run_keeps_nothing() -> None:
    """And takes over what it is merged with."""
    sample = SendSample()
    sample.add(*np.ones((4, 5), np.int64))
    assert sample.requests.intended.size == 0
    sample.merge(filled([1, 2, 3], 1.0))
    assert sample.requests.intended.tolist() == [1, 2, 3]
    assert sample.requests.response.tolist() == pytest.approx([2, 2, 2])
