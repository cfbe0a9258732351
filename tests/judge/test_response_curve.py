"""The curve through the probes settles, whatever a server did in one of them."""

from loadtest.judge.capacity_result import Probe
from loadtest.judge.objective import Objective
from loadtest.judge.response_curve import fit

SLO = Objective.parse("p99<50ms")
ANSWERED = (206.0, 230.0, 265.0, 322.0, 265.0, 325.0, 267.0, 327.0, 268.0, 328.0)
"""Rates at which TorchServe answered every request within 50 ms, through eight seconds each."""


def probe(rate: float, slow: float = 0.0) -> Probe:
    """Eight seconds at a rate, with such a share of slow requests."""
    requests = round(8 * rate)
    return Probe(
        rate=rate,
        seed=1,
        met=slow <= 0.01,
        observed_ms=10.0,
        failed_share=0.0,
        requests=requests,
        slow=round(slow * requests),
        duration_s=8.0,
        search=1,
    )


HUNG = [probe(926.0, 0.995), probe(938.0), probe(725.0, 0.99)]
"""Its first probes in that search."""


def test_a_server_that_hung_twice_is_not_held_below_what_it_answers_again_and_again() -> None:
    """TorchServe hung through one of two probes at 930/s and through one at 725/s, and never at 200 to 330/s."""
    found = fit([*HUNG, *map(probe, ANSWERED)], SLO, 936.0)
    assert 1.1 * max(ANSWERED) < found.capacity < 938.0


def test_further_answers_in_time_do_not_lower_the_capacity() -> None:
    """Six more probes without a slow request leave the estimate where it was, or move it up."""
    few = fit([*HUNG, *map(probe, ANSWERED[:4])], SLO, 936.0)
    many = fit([*HUNG, *map(probe, ANSWERED)], SLO, 936.0)
    assert many.capacity > 0.95 * few.capacity
