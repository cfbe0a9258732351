"""Queues as arrays give the response times that the engine measures in virtual time."""

from collections.abc import Iterator

import numpy as np
import pytest

from loadtest.experiments.simulated_queue import Floats, Stalls, exponential, log_normal, queue_run, uniform_stalls
from loadtest.experiments.simulation import FifoServer, simulate
from loadtest.experiments.simulation import Stalls as Timetable
from loadtest.load.schedule import NS, Poisson

RATE, DURATION_S, SEED = 800.0, 60.0, 7


def same_times(service_s: float) -> Iterator[int]:
    """The service times that the array draws for this seed, in nanoseconds."""
    random = np.random.default_rng([SEED, 1])
    arrivals = sum(1 for _ in Poisson(RATE, DURATION_S).times(SEED))
    yield from np.rint(exponential(service_s)(random, arrivals) * NS).astype(np.int64).tolist()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("stall", [None, Timetable(5.0, 0.08, 1.0)])
def test_they_are_those_of_the_engine(workers: int, stall: Timetable | None) -> None:
    """The same arrivals and service times give the same distribution, with several workers and with stalls."""

    def timetable(random: np.random.Generator, duration_s: float) -> tuple[Floats, Floats]:
        begins = np.arange(1.0, duration_s + 100, 5.0)
        return begins, np.full(begins.size, 0.08)

    service_s = 0.001 * workers
    array = queue_run(
        RATE, DURATION_S, SEED, exponential(service_s), workers=workers, stalls=timetable if stall else None
    ).tally
    server = FifoServer(same_times(service_s), workers, stall)
    engine = simulate(Poisson(RATE, DURATION_S), server, connections=workers, seed=SEED).tally
    assert array.scheduled == engine.scheduled
    for percent in (10, 50, 90, 99, 99.9, 100):
        assert array.response.percentile(percent) == pytest.approx(engine.response.percentile(percent), rel=2e-3)


def test_service_times_have_their_mean() -> None:
    """Exponential and log-normal ones, within four standard errors."""
    random = np.random.default_rng(1)
    assert exponential(0.002)(random, 100_000).mean() == pytest.approx(0.002, rel=4 / 100_000**0.5)
    assert log_normal(0.002, 1.0)(random, 100_000).mean() == pytest.approx(0.002, rel=4 * 1.31 / 100_000**0.5)


def test_stalls_come_in_order_and_do_not_overlap() -> None:
    """They fill the time that is asked for, with lengths between the two."""
    stalls: Stalls = uniform_stalls(3.0, 0.02, 0.1)
    begins, lengths = stalls(np.random.default_rng(1), 1_000.0)
    assert (np.diff(begins) > lengths[:-1]).all()
    assert begins[-1] > 1_000
    assert lengths.min() >= 0.02
    assert lengths.max() <= 0.1
