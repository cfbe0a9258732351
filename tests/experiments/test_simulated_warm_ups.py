"""A warm-up ends when the server is steady, in virtual time against servers that take a known time to get there."""

import pytest

from loadtest.experiments.simulation import FifoServer, Stalls, WarmingServer, exponential, fixed, simulate
from loadtest.judge.findings import NOT_WARM
from loadtest.judge.measured import MeasuredRun
from loadtest.load.schedule import Closed, Poisson

SERVICE_S, WARM_S, SLOWER = 0.002, 5.0, 6.0


def warming() -> WarmingServer:
    """Six times slower at the start, warm after five seconds."""
    return WarmingServer(exponential(SERVICE_S, seed=3), WARM_S, SLOWER)


def codes(result: MeasuredRun) -> list[str]:
    """What is told of the run."""
    return [finding.code for finding in result.verdict.findings]


def test_a_ceiling_after_a_warm_up_is_that_of_the_warm_server() -> None:
    """After the half second of a short warm-up the same loop measures a third of the ceiling."""
    cold = simulate(Closed(1.0), warming(), connections=4, warmup_s=0.5)
    warm = simulate(Closed(1.0), warming(), connections=4, warmup_s=30.0)
    assert cold.throughput_rps < 0.4 / SERVICE_S
    assert warm.throughput_rps == pytest.approx(1 / SERVICE_S, rel=0.15)


def test_a_warm_up_lasts_until_the_server_is_steady() -> None:
    """Not shorter than the server takes to get near its speed, and not to the bound either."""
    result = simulate(Poisson(100.0, 5.0), warming(), connections=4, warmup_s=60.0)
    assert result.warmup is not None
    assert result.warmup.steady
    assert 0.8 * WARM_S < result.warmup.duration_s < 4 * WARM_S
    assert result.warmup.requests > 100
    assert NOT_WARM not in codes(result)


def test_a_warm_up_that_ends_at_its_bound_is_told() -> None:
    """A server that stalls for a second in every two is never steady."""
    server = FifoServer(fixed(SERVICE_S), stalls=Stalls(2.0, 1.0))
    result = simulate(Poisson(50.0, 5.0), server, connections=4, warmup_s=6.0)
    assert result.warmup is not None
    assert not result.warmup.steady
    assert result.warmup.duration_s >= 6.0
    assert NOT_WARM in codes(result)
    assert result.verdict.valid


def test_no_warm_up_is_no_finding() -> None:
    """Where none was asked for, none is missed."""
    result = simulate(Poisson(50.0, 5.0), FifoServer(fixed(SERVICE_S)), connections=4)
    assert result.warmup is None
    assert NOT_WARM not in codes(result)
