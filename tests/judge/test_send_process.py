"""Whether the actual sends were what the schedule promised: right schedules pass, bunched ones do not."""

import math
import warnings

import numpy as np
import pytest

from loadtest.experiments.simulation import FifoServer, fixed, simulate
from loadtest.judge.findings import SENDS_NOT_POISSON, SENDS_OFF_RATE
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.send_process import FEWEST, examine
from loadtest.load.schedule import Constant, Piecewise, Poisson, Schedule
from loadtest.load.thinned import BLOCKS, Thinned


def codes(result: MeasuredRun) -> set[str]:
    """What is told of the run."""
    return {finding.code for finding in result.verdict.findings}


def test_the_statistic_is_that_of_scipy_for_a_known_distribution() -> None:
    """SciPy estimates the mean: of gaps whose mean is 1 its statistic is this one."""
    from scipy.stats import anderson

    gaps = np.random.default_rng(1).exponential(1.0, 500)
    gaps /= gaps.mean()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of another way to give the critical values
        found = anderson(gaps, "expon")
    assert examine(gaps).statistic == pytest.approx(found.statistic, rel=1e-6)


@pytest.mark.parametrize("count", [60, 1_000])
def test_a_right_schedule_is_hardly_ever_doubted(count: int) -> None:
    """Of 4,000 right ones fewer than 1 in 1,000, but for chance: four standard deviations."""
    random = np.random.default_rng(count)
    doubted = sum(not examine(random.exponential(1.0, count)).is_poisson for _ in range(4_000))
    assert doubted <= 4 + 4 * math.sqrt(4)


def test_sends_on_the_ticks_of_a_timer_are_found() -> None:
    """A client that wakes up once in a millisecond and then sends what is due, at 500 requests per second."""
    random = np.random.default_rng(3)
    due = np.cumsum(random.exponential(0.002, 2_000))
    ticks = np.ceil(due / 0.001) * 0.001
    assert examine(np.diff(due) / 0.002).is_poisson
    found = examine(np.diff(ticks) / 0.002)
    assert not found.is_poisson
    assert found.distance > 0.2


def test_few_gaps_prove_nothing() -> None:
    """None at all have no statistic, and fewer than fifty are not judged."""
    assert examine(np.array([])).is_poisson
    assert examine(np.ones(FEWEST - 1)).is_poisson
    assert not examine(np.ones(FEWEST + 1)).is_poisson


@pytest.mark.parametrize(
    "schedule", [Poisson(500.0, 20.0), Constant(500.0, 20.0), Piecewise((100.0, 900.0), 20.0)], ids=lambda one: one.kind
)
def test_a_client_that_keeps_its_schedule_is_not_doubted(schedule: Schedule) -> None:
    """With connections enough each request leaves when it is due; only a Poisson process has to look like one."""
    result = simulate(schedule, FifoServer(fixed(0.001)), connections=256)
    assert not {SENDS_NOT_POISSON, SENDS_OFF_RATE} & codes(result)


def test_requests_that_wait_for_a_connection_are_sent_otherwise_than_promised() -> None:
    """One connection and a server near its capacity: requests leave when the one before them is answered."""
    result = simulate(Poisson(900.0, 20.0), FifoServer(fixed(0.001)), connections=1)
    assert SENDS_NOT_POISSON in codes(result)
    assert result.verdict.valid


def test_an_overloaded_connection_is_off_the_rate() -> None:
    """Twice as many requests as it can carry leave at half of the rate."""
    result = simulate(Poisson(400.0, 10.0), FifoServer(fixed(0.005)), connections=1, timeout_s=60.0)
    (finding,) = [one for one in result.verdict.findings if one.code == SENDS_OFF_RATE]
    assert finding.number("share") == pytest.approx(-0.5, abs=0.05)


def test_a_long_sequence_is_kept_in_part() -> None:
    """Evenly spaced blocks from the beginning to the end, and never more than there is room for."""
    kept = Thinned()
    for number in range(1_000):
        kept.add(np.array([float(number)]))
        assert len(kept.blocks) <= BLOCKS
    numbers = [int(block[0]) for block in kept.blocks]
    assert len(set(np.diff(numbers).tolist())) == 1
    assert numbers[0] == 0
    assert numbers[-1] > 900
