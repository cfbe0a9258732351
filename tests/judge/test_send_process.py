"""Whether the sends were those promised, in virtual time: right clients, clients that coalesce, busy connections."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest

from loadtest.experiments.simulation import (
    FifoServer,
    SimulatedServer,
    Stalls,
    VirtualTime,
    exponential,
    fixed,
    simulate,
)
from loadtest.judge.findings import (
    NOT_AS_NAMED,
    QUEUE_GREW,
    SCHEDULE_OFF_RATE,
    SENDS_WAITED,
    SENT_LATE,
    SENT_OTHERWISE,
    SENT_SLOWER,
)
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.send_process import DISTANCE, LEAST_GAPS, SIGNIFICANCE
from loadtest.load.bursty import Gamma
from loadtest.load.replay import Replay
from loadtest.load.schedule import NS, Closed, Constant, Piecewise, Poisson, Schedule
from loadtest.records import to_json
from loadtest.report.wording import words

MS = 1_000_000


class CoarseTime(VirtualTime):
    """A client whose timer ticks once in so many nanoseconds, as those of many event loops do."""

    def __init__(self, tick_ns: int) -> None:
        super().__init__()
        self._tick = tick_ns

    def wake_at(self, when: int) -> None:
        """Wake at the next tick."""
        super().wake_at(-(-when // self._tick) * self._tick)


class JitteryTime(VirtualTime):
    """A client that is woken up to 0.15 ms late, as a real one is."""

    def wake_at(self, when: int) -> None:
        """Wake a little late."""
        super().wake_at(when + when * 7_919 % 150_000)


@dataclass(frozen=True)
class Uniform:
    """A schedule that calls itself Poisson and has uniform gaps."""

    rate: float
    duration_s: float
    kind: str = "poisson"
    dealt: ClassVar[bool] = False

    def times(self, seed: int) -> Iterator[int]:
        """Gaps from nearly 0 to twice the mean, in turn."""
        time, mean, number = 0.0, NS / self.rate, 0
        while time < self.duration_s * NS:
            yield int(time)
            number += 1
            time += 2 * mean * (number * 0.618033988749895 % 1)

    def split(self, parts: int) -> list[Schedule]:
        """Not divided."""
        return [self]


def slow_server() -> SimulatedServer:
    """20 ms a request, as many at a time as come: a lag of 1 ms is a twentieth of its response time."""
    return FifoServer(fixed(0.020), workers=64)


def codes(run: MeasuredRun) -> set[str]:
    """What was said of it."""
    return {finding.code for finding in (*run.verdict.reasons, *run.verdict.findings)}


ALL = [
    Poisson(500.0, 20.0),
    Constant(500.0, 20.0),
    Gamma(500.0, 20.0, 2.0),
    Gamma(500.0, 20.0, 0.5),
    Piecewise((200.0, 800.0), 20.0),
    Replay(tuple(n * 0.011 for n in range(500) for _ in range(4))),
]


@pytest.mark.parametrize("schedule", ALL, ids=lambda schedule: schedule.kind)
@pytest.mark.parametrize("time", [VirtualTime, JitteryTime])
def test_a_client_that_sends_on_time_is_not_suspected(schedule: Schedule, time: type[VirtualTime]) -> None:
    """Exact, or as late as a real client: no reason, no finding about sends."""
    run = simulate(schedule, slow_server(), connections=64, time=time())
    assert run.verdict.valid
    assert codes(run).isdisjoint({NOT_AS_NAMED, SENT_OTHERWISE, SENT_SLOWER, SENDS_WAITED})
    assert run.sends is not None
    assert run.sends.gaps >= 0.95 * run.tally.scheduled - 1
    assert run.sends.client_distance < DISTANCE


@pytest.mark.parametrize("schedule", ALL, ids=lambda schedule: schedule.kind)
def test_a_client_that_ticks_is_found_out(schedule: Schedule) -> None:
    """A timer of 5 ms sends in bursts: the run is invalid, though no send is late by a tenth of the response time."""
    run = simulate(schedule, FifoServer(fixed(0.100), workers=256), connections=256, time=CoarseTime(5 * MS))
    assert {reason.code for reason in run.verdict.reasons} == {SENT_OTHERWISE}
    assert "did not send as it had promised" in words(run.verdict.reasons[0])


def test_a_tick_of_a_millisecond_is_found_out() -> None:
    """The send lag stays within its limits, so that nothing but the gaps can tell."""
    run = simulate(Poisson(1_000.0, 20.0), slow_server(), connections=64, time=CoarseTime(MS))
    assert SENT_LATE not in codes(run)
    assert {reason.code for reason in run.verdict.reasons} == {SENT_OTHERWISE}
    assert run.sends is not None
    assert run.sends.p_value < SIGNIFICANCE <= run.sends.planned_p_value


def test_a_distortion_too_small_to_matter_is_measured_and_forgiven() -> None:
    """At 50 requests per second a tick of a millisecond is significant and moves fewer gaps than 5 %."""
    run = simulate(Poisson(50.0, 400.0), slow_server(), connections=64, time=CoarseTime(MS))
    assert run.verdict.valid
    assert run.sends is not None
    assert run.sends.p_value < SIGNIFICANCE
    assert run.sends.distance < DISTANCE


@pytest.mark.parametrize(
    ("schedule", "server"),
    [
        (Poisson(150.0, 20.0), FifoServer(fixed(0.010))),
        (Constant(100.0, 60.0), FifoServer(fixed(0.001), stalls=Stalls(5.0, 1.0))),
        (Poisson(180.0, 20.0), FifoServer(exponential(0.005, seed=1), stalls=Stalls(5.0, 1.0))),
    ],
    ids=["too few connections", "stalls under a metronome", "stalls"],
)
def test_waiting_for_a_busy_connection_is_no_fault_of_the_client(schedule: Schedule, server: SimulatedServer) -> None:
    """One connection and a server that is slow or stops: a finding with the share that waited; the run is valid."""
    run = simulate(schedule, server, connections=1)
    assert run.verdict.valid
    (finding,) = (one for one in run.verdict.findings if one.code == SENDS_WAITED)
    assert "of the requests waited for a busy connection" in words(finding)
    assert finding.number("waited_share") > 0.1
    assert run.sends is not None
    assert run.sends.client_distance == 0


def test_overload_is_no_fault_of_the_client() -> None:
    """Twice what the server can do: the sends come at half the rate, and that is the server's."""
    run = simulate(Poisson(400.0, 20.0), FifoServer(exponential(0.005, seed=1)), connections=1, timeout_s=60.0)
    assert run.verdict.valid
    assert {QUEUE_GREW, SENDS_WAITED} <= codes(run)
    assert run.sends is not None
    assert run.sends.rate_rps == pytest.approx(200, rel=0.1)
    assert run.sends.planned_rate_rps == pytest.approx(400, rel=0.1)


def test_a_schedule_that_is_not_what_its_name_says_is_found_out() -> None:
    """Gaps spread evenly between nothing and twice the mean, under the name of Poisson."""
    run = simulate(Uniform(500.0, 20.0), slow_server(), connections=64)
    assert {reason.code for reason in run.verdict.reasons} == {NOT_AS_NAMED}
    assert "not what its name says" in words(run.verdict.reasons[0])


def test_a_client_that_falls_behind_is_found_out() -> None:
    """It sends as regularly as could be, and a twentieth too slowly."""

    class Slow(VirtualTime):
        def wake_at(self, when: int) -> None:
            super().wake_at(when + when // 20)

    run = simulate(Constant(100.0, 100.0), FifoServer(fixed(0.001), workers=64), connections=64, time=Slow())
    assert SENT_SLOWER in {reason.code for reason in run.verdict.reasons}
    assert "the client sent 95." in next(words(one) for one in run.verdict.reasons if one.code == SENT_SLOWER)


@pytest.mark.parametrize("rate", [30.0, 500.0])
def test_right_schedules_are_hardly_ever_suspected(rate: float) -> None:
    """1,000 Poisson runs, none of which is called anything but Poisson; the chance of each is below 1 in 10,000."""
    server = FifoServer(fixed(0.0))
    suspected = 0
    for seed in range(1_000):
        run = simulate(Poisson(rate, 150 / rate), server, connections=1, seed=seed)
        suspected += run.sends is not None and (run.sends.p_value < SIGNIFICANCE or run.sends.broken)
        server = FifoServer(fixed(0.0))
    assert suspected <= 1


def test_bursts_may_miss_the_mean_rate_by_more() -> None:
    """Counts of a schedule of variation 4 scatter four times as much as Poisson counts: no finding about the rate."""
    off = [
        SCHEDULE_OFF_RATE in codes(simulate(Gamma(100.0, 20.0, 4.0), slow_server(), connections=64, seed=seed))
        for seed in range(40)
    ]
    assert sum(off) <= 1


def test_too_few_gaps_are_not_judged() -> None:
    """Of a hundred gaps nothing could be said that chance would not explain, and a closed loop promises none."""
    assert simulate(Constant(10.0, LEAST_GAPS / 10), slow_server(), connections=8).sends is None
    assert simulate(Closed(5.0), FifoServer(fixed(0.001)), connections=1).sends is None
    assert simulate(Constant(10.0, LEAST_GAPS / 10 + 0.1), slow_server(), connections=8).sends is not None


def test_the_check_is_in_the_result() -> None:
    """With its figures by name; what is not known is null."""
    document = json.loads(to_json(simulate(Constant(100.0, 5.0), slow_server(), connections=64).result()))
    sends = document["sends"]
    assert sends["gaps"] == 499
    assert sends["rate_rps"] == pytest.approx(100.0)
    assert sends["anderson_darling"] is sends["p_value"] is None
    assert sends["distance"] == sends["client_distance"] == sends["waited_share"] == 0
    assert math.isclose(sends["planned_rate_rps"], sends["possible_rate_rps"])
