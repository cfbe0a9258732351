"""A server that stops for one second in every ten: what an open loop sees of it, and what a closed loop hides.

The arithmetic. A request every 10 ms, a service time of 1 ms, one worker, and the stall at the beginning of each cycle
of ten seconds. Request i of a cycle is due at 10 i ms. Those of the stall are served from 1000 ms on, one a
millisecond: request i is answered at 1000 + (i + 1) ms, so its response time is 1001 - 9 i ms until that falls to the
bare service time, that is for i = 0 … 111 (request 111 takes 2 ms). A cycle holds 1,000 requests, so p90 has 100 of
them beyond it and is request 100's, p99 has 10 and is request 10's, p99.9 has one and is request 1's:

    p50 = 1 ms     p90 = 1001 - 900 = 101 ms     p99 = 1001 - 90 = 911 ms     p99.9 = 1001 - 9 = 992 ms

A closed loop on one connection gets 9,000 answers in the other nine seconds of a cycle, and only the first of them was
asked for in the stall: 1 of 9,000 is slow (1001 ms), and every percentile up to the 99.98th is 1 ms.
"""

import pytest

from loadtest.experiments.simulation import FaultyServer, FifoServer, Stalls, exponential, fixed, simulate
from loadtest.judge.measured import MeasuredRun
from loadtest.load.schedule import Closed, Constant, Poisson, Schedule

EVERY_S, LENGTH_S, SERVICE_S, RATE = 10.0, 1.0, 0.001, 100.0
DURATION_S = 200.0
ARITHMETIC_MS = {50.0: 1.0, 90.0: 101.0, 99.0: 911.0, 99.9: 992.0, 100.0: 1001.0}
RESOLUTION = 1 / 1_024


def stalling_server() -> FifoServer:
    """The server of the arithmetic above."""
    return FifoServer(fixed(SERVICE_S), stalls=Stalls(EVERY_S, LENGTH_S))


def open_loop(connections: int) -> MeasuredRun:
    """Its run under the metronome of the arithmetic above."""
    return simulate(Constant(RATE, DURATION_S), stalling_server(), connections=connections)


@pytest.mark.parametrize("connections", [1, 8, 256])
def test_open_loop_reports_the_stall_as_the_arithmetic_has_it(connections: int) -> None:
    """Every percentile equals the arithmetic within the histogram's resolution, however few the connections."""
    response = open_loop(connections).tally.response
    for percent, expected_ms in ARITHMETIC_MS.items():
        assert response.percentile(percent) / 1e6 == pytest.approx(expected_ms, rel=RESOLUTION), percent
    mean_ms = (sum(1001 - 9 * i for i in range(112)) + 888) / 1_000
    assert response.mean / 1e6 == pytest.approx(mean_ms, rel=1e-9)


def test_closed_loop_hides_the_stall_up_to_the_99_98th_percentile() -> None:
    """At p99 and p99.9 the closed loop reports 1 ms: too little by factors of 911 and 992."""
    response = simulate(Closed(DURATION_S), stalling_server(), connections=1).tally.response
    for percent in (50, 99, 99.9, 99.98):
        assert response.percentile(percent) / 1e6 == pytest.approx(1, rel=RESOLUTION)
    assert response.percentile(99.99) / 1e6 == pytest.approx(1001, rel=RESOLUTION)
    assert response.count == pytest.approx(DURATION_S / EVERY_S * 9_000, abs=1)


def test_the_corrected_closed_loop_shows_what_it_hid() -> None:
    """Side by side: 1 ms as measured, and near the 900 ms of an open loop at its pace where the wait is filled in."""
    result = simulate(Closed(DURATION_S), stalling_server(), connections=1).result()
    corrected = result.corrected_response_time_ms
    assert corrected is not None
    assert result.response_time_ms.p99 == pytest.approx(1, rel=RESOLUTION)
    assert corrected.p99 == pytest.approx(1_000 - 0.01 * 10_000, rel=0.02)
    assert corrected.p50 == pytest.approx(1, rel=0.01)
    assert open_loop(connections=1).result().corrected_response_time_ms is None


def test_time_from_the_actual_send_hides_the_stall_too() -> None:
    """On one connection even the service time of an open loop is 1 ms at p99: the wait was in the client's queue."""
    result = open_loop(connections=1)
    assert result.tally.service.percentile(99) / 1e6 == pytest.approx(1, rel=RESOLUTION)
    assert result.response_ms(99) > 900


def test_connections_do_not_change_the_response_times() -> None:
    """The same histogram from 8 connections and from 256: where the requests wait makes no difference."""
    few, many = open_loop(8).tally, open_loop(256).tally
    assert few.response.nonzero() == many.response.nonzero()
    assert few.service.percentile(99) < many.service.percentile(99)


@pytest.mark.parametrize(
    ("begin", "work", "finish"),
    [
        (0, 1, 1_001),  # arrives as the stall begins
        (999, 5, 1_005),  # arrives just before it ends
        (1_000, 9_000, 10_000),  # ends as the next stall begins
        (9_999, 2, 11_001),  # is interrupted by it
        (1_500, 20_000, 23_500),  # is interrupted twice
    ],
)
def test_work_rests_during_a_stall(begin: int, work: int, finish: int) -> None:
    """Work that meets a stall is resumed after it (milliseconds)."""
    ms = 1_000_000
    assert Stalls(EVERY_S, LENGTH_S).finish(begin * ms, work * ms) == finish * ms


@pytest.mark.parametrize("first_s", [0.0, 3.0, 9.0])
def test_work_gets_exactly_the_time_outside_the_stalls(first_s: float) -> None:
    """Cutting work in two, anywhere, changes nothing about when it is done."""
    stalls = Stalls(EVERY_S, LENGTH_S, first_s)
    ms = 1_000_000
    for begin in range(0, 21_000, 250):
        whole = stalls.finish(begin * ms, 12_000 * ms)
        assert stalls.finish(stalls.finish(begin * ms, 700 * ms), 11_300 * ms) == whole
        assert whole - begin * ms >= 12_000 * ms


def test_failing_requests_are_counted_by_kind() -> None:
    """Shares of failing and unanswered requests come back as counts, and only correct answers have a response time."""
    server = FaultyServer(FifoServer(fixed(SERVICE_S)), {"http_500": 0.1, "mismatched": 0.05}, unanswered=0.02, seed=3)
    result = simulate(Constant(100.0, 200.0), server, connections=64, timeout_s=1.0)
    tally = result.tally
    assert tally.scheduled == 20_000
    assert tally.ok + tally.mismatched + tally.errors.total() == tally.scheduled
    assert tally.errors["http_500"] == pytest.approx(2_000, rel=0.1)
    assert tally.mismatched == pytest.approx(1_000, rel=0.15)
    assert tally.errors["timeout"] == pytest.approx(400, rel=0.2)
    assert tally.response.count == tally.ok
    assert not result.verdict.valid


@pytest.mark.parametrize("schedule", [Poisson(50.0, 5.0), Constant(50.0, 5.0), Closed(5.0)], ids=lambda s: s.kind)
def test_server_that_never_answers_ends_the_run(schedule: Schedule | Closed) -> None:
    """Nothing comes back: every request is a timeout or was never sent, and the run ends all the same."""
    server = FaultyServer(FifoServer(exponential(SERVICE_S, seed=1)), unanswered=1.0)
    tally = simulate(schedule, server, connections=4, timeout_s=0.5).tally
    assert tally.ok == tally.mismatched == 0
    assert set(tally.errors) <= {"timeout", "unsent"}
    assert tally.errors["timeout"] >= 4
    assert tally.scheduled == tally.errors.total()
