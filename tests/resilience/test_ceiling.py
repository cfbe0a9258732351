"""The capacity before an overload, in virtual time against servers of known speed."""

import pytest

from loadtest.experiments.simulation import FifoServer, VirtualTime, WarmingServer, exponential, fixed, simulate
from loadtest.load.schedule import Closed
from loadtest.resilience.overload import settled, until_settled

SERVICE_S, WARM_S, SLOWER = 0.002, 20.0, 6.0
MOST = 16


def closed_loops(server: FifoServer | WarmingServer, most: int = MOST) -> list[float]:
    """The throughput of each closed loop of five seconds, one after the other on the same server."""
    time = VirtualTime()

    def closed_loop(before: int) -> float:
        return simulate(Closed(5.0), server, connections=4, time=time, seed=before).throughput_rps

    return until_settled(closed_loop, most)


def test_a_server_that_grows_faster_is_measured_at_its_full_speed() -> None:
    """Six times slower at the start and warm after twenty seconds: the first loop is far off, the last one is not."""
    rates = closed_loops(WarmingServer(exponential(SERVICE_S, seed=3), WARM_S, SLOWER))
    assert rates[0] < 0.4 / SERVICE_S
    assert rates[-1] == pytest.approx(1 / SERVICE_S, rel=0.1)
    assert len(rates) < MOST


def test_a_steady_server_takes_five_loops() -> None:
    """Four after the first are no faster."""
    rates = closed_loops(FifoServer(fixed(SERVICE_S)))
    assert rates == pytest.approx([1 / SERVICE_S] * 5, rel=0.02)


def test_a_pause_on_the_way_up_is_not_taken_for_the_capacity() -> None:
    """TorchServe's closed loops on one core, measured on 2026-11-27: its first two agree at half of what it can do."""
    seen = [500, 513, 579, 555, 741, 720, 891, 866, 649, 749, 968, 706, 914, 687, 973, 1071, 1094, 917, 844, 703]
    rates = until_settled(lambda before: float(seen[before]), len(seen))
    assert max(rates) > 0.85 * max(seen)


def test_what_has_settled() -> None:
    """Four loops in a row bring at most five percent more than the best before them, whatever the others were."""
    assert settled([1_000.0, 700.0, 1_050.0, 800.0, 900.0])
    assert not settled([1_000.0, 700.0, 1_051.0, 800.0, 900.0])
    assert not settled([1_000.0, 1_000.0, 1_000.0, 1_000.0])


def test_a_server_that_never_settles_ends_at_the_bound() -> None:
    """One that still grows after the last loop that it is given."""
    assert len(closed_loops(WarmingServer(fixed(SERVICE_S), 60.0, SLOWER), most=3)) == 3
