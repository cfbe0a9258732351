"""What holds for every run, whatever the answers do: shown over random schedules and random fates of the requests."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.experiments.simulation import CORRECT, FifoServer, SimulatedConnection, VirtualTime, fixed, simulate
from loadtest.load.engine import NEVER, Engine
from loadtest.load.histogram import Histogram
from loadtest.load.recorder import Tally
from loadtest.load.replay import Replay
from loadtest.load.schedule import NS, Closed, Constant, Piecewise, Poisson, Schedule
from loadtest.records import to_json

MS = 1_000_000
TIMEOUT_S = 0.2


@dataclass(frozen=True)
class Ended:
    """A request from the side of its connection."""

    intended: int
    sent: int
    done: int
    kind: str


class ScriptedServer:
    """Answers the n-th request after the n-th delay with the n-th fate, over and over."""

    def __init__(self, script: list[tuple[int, str]]) -> None:
        self._script = script
        self.arrived = 0

    def answer(self, now: int) -> tuple[int, str]:
        """The next entry of the script."""
        delay, kind = self._script[self.arrived % len(self._script)]
        self.arrived += 1
        return (NEVER if delay == NEVER else now + delay), kind


class WatchedConnection(SimulatedConnection):
    """Keeps a record of its requests, and fails the test where it is given two at once."""

    def __init__(self, server: ScriptedServer, time: VirtualTime, record: list[Ended]) -> None:
        super().__init__(server, time)
        self._record = record
        self._in_flight = False

    def send(self, payload: int) -> None:
        """Check that nothing is in flight, and send."""
        assert self.busy
        assert not self._in_flight, "two requests at once on one connection"
        self._in_flight = True
        super().send(payload)

    def _end(self, kind: str) -> None:
        assert self._in_flight, "an answer to nothing"
        self._in_flight = False
        self._record.append(Ended(self.intended, self.sent, self._time.now, kind))
        super()._end(kind)


class LateTime(VirtualTime):
    """A client that is woken too late."""

    def __init__(self, late_ns: int) -> None:
        super().__init__()
        self._late = late_ns

    def wake_at(self, when: int) -> None:
        """Set the wake-up to a later time than was asked for."""
        super().wake_at(when + self._late)


def watch(
    schedule: Schedule | Closed,
    script: list[tuple[int, str]],
    connections: int,
    *,
    time: VirtualTime | None = None,
    timeout_s: float = TIMEOUT_S,
    seed: int = 1,
) -> tuple[Tally, list[Ended], ScriptedServer]:
    """Run the engine over watched connections to a scripted server."""
    time = time or VirtualTime()
    engine = Engine(
        schedule,
        payloads=3,
        seed=seed,
        clock=time.clock,
        wake=time.wake_at,
        window_s=0.05,
        timeout_s=timeout_s,
    )
    server, record = ScriptedServer(script), list[Ended]()
    slots: list[SimulatedConnection] = [WatchedConnection(server, time, record) for _ in range(connections)]
    for slot in slots:
        slot.engine = engine
    time.run(engine, slots)
    assert not any(slot.busy for slot in slots)
    return engine.result(), record, server


fates = st.sampled_from([CORRECT, CORRECT, CORRECT, "mismatched", "http_500", "truncated", "connection_reset"])
delays = st.one_of(st.integers(100_000, 2 * MS), st.integers(100_000, 400 * MS), st.just(NEVER))
scripts = st.lists(st.tuples(delays, fates), min_size=1, max_size=30)
rates = st.floats(1.0, 500.0)
open_schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Poisson, rates, st.just(0.3)),
    st.builds(Constant, rates, st.just(0.3)),
    st.builds(Piecewise, st.tuples(rates, rates), st.just(0.3)),
    st.lists(st.floats(0, 0.3), min_size=1, max_size=60).map(lambda offsets: Replay(tuple(sorted(offsets)))),
)


def assert_accounted_for(tally: Tally, record: list[Ended], server: ScriptedServer) -> None:
    """Every request ended once, as what its connection saw in time, in order of time, and is in the right histogram."""
    ended = Counter(one.kind if one.done - one.sent <= TIMEOUT_S * NS else "timeout" for one in record)
    assert tally.ok == ended.pop(CORRECT, 0)
    assert tally.mismatched == ended.pop("mismatched", 0)
    unsent = tally.errors["unsent"]
    assert +tally.errors == +(ended + Counter(unsent=unsent))
    assert tally.sent == len(record) == server.arrived
    assert tally.scheduled == tally.sent + unsent
    assert all(one.intended <= one.sent <= one.done for one in record)
    right = [one for one in record if one.kind == CORRECT and one.done - one.sent <= TIMEOUT_S * NS]
    for histogram, durations in (
        (tally.response, [one.done - one.intended for one in right]),
        (tally.service, [one.done - one.sent for one in right]),
    ):
        expected = Histogram()
        expected.record(np.array(durations, dtype=np.int64))
        assert histogram.nonzero() == expected.nonzero()
        assert histogram.total == expected.total
    assert sum(window.ok for window in tally.windows) == tally.ok
    assert sum(window.failed for window in tally.windows) == tally.mismatched + tally.errors.total()


@given(open_schedules, scripts, st.integers(1, 8), st.integers(0, 1_000), st.sampled_from([0, 0, MS // 2, 70 * MS]))
@settings(deadline=None, max_examples=150)
def test_every_scheduled_request_ends_in_exactly_one_way(
    schedule: Schedule, script: list[tuple[int, str]], connections: int, seed: int, late_ns: int
) -> None:
    """Open loop: ok, mismatched, an error kind or unsent; one at a time on a connection; sent in the plan's order."""
    tally, record, server = watch(schedule, script, connections, time=LateTime(late_ns), seed=seed)
    assert_accounted_for(tally, record, server)
    planned = list(schedule.times(seed))
    assert tally.scheduled == len(planned)
    assert sorted(one.intended for one in record) == planned[: len(record)], "first due, first sent"
    assert all(one.done <= one.sent + TIMEOUT_S * NS + 50 * MS for one in record), "no request outlives its timeout"
    if late_ns == 0:
        assert tally.lag.max == 0


@given(scripts, st.integers(1, 8), st.floats(0.05, 0.3))
@settings(deadline=None)
def test_every_request_of_a_closed_loop_ends_in_exactly_one_way(
    script: list[tuple[int, str]], connections: int, duration_s: float
) -> None:
    """Closed loop: as in the open one, and none is begun after the end or waits before it is sent."""
    tally, record, server = watch(Closed(duration_s), script, connections)
    assert_accounted_for(tally, record, server)
    assert tally.sent == tally.scheduled >= connections
    assert all(one.intended == one.sent < duration_s * NS for one in record)


def test_the_longest_waiting_request_is_sent_first() -> None:
    """One connection, all due at once: the response times are 1, 2, 3 … services."""
    tally, record, _ = watch(Replay((0.0,) * 20), [(MS, CORRECT)], 1)
    assert [one.done - one.intended for one in record] == [MS * n for n in range(1, 21)]
    assert tally.service.max == MS


def test_unsent_requests_are_reported() -> None:
    """A server that hangs: what no connection was free for until the end of the grace period is counted as unsent."""
    tally, record, _ = watch(Constant(100.0, 1.0), [(NEVER, CORRECT)], 2, timeout_s=0.5)
    assert tally.scheduled == 100
    assert tally.errors == Counter(timeout=len(record), unsent=100 - len(record))
    assert len(record) == 6  # two each at 0, 0.5 and 1 s; the run is over 0.5 s after its end


def test_late_client_shows_as_send_lag() -> None:
    """Woken 5 ms late each time, an idle client sends each request 5 ms late, and the response time has it all."""
    tally, record, _ = watch(Constant(10.0, 1.0), [(MS, CORRECT)], 4, time=LateTime(5 * MS))
    assert {one.sent - one.intended for one in record[1:]} == {5 * MS}
    assert tally.lag.percentile(99) / MS == pytest.approx(5, rel=1 / 1_024)
    assert tally.service.max == MS
    assert tally.response.max == 6 * MS


def test_lag_counts_where_another_connection_was_idle() -> None:
    """A request that a late client sends on a connection just freed could have gone out on an idle one."""
    script = [(10 * MS, CORRECT)]
    tally, record, _ = watch(Replay((0.0, 0.001)), script, 2, time=LateTime(50 * MS))
    assert (record[1].intended, record[1].sent) == (MS, 10 * MS)
    assert tally.lag.max == 9 * MS


def test_waiting_for_a_busy_connection_is_no_lag() -> None:
    """On one connection the second request waits for the server and not for the client."""
    tally, record, _ = watch(Replay((0.0, 0.001)), [(10 * MS, CORRECT)], 1)
    assert (record[1].intended, record[1].sent) == (MS, 10 * MS)
    assert tally.lag.max == 0
    assert tally.response.max == 19 * MS


def test_closed_loop_goes_on_until_the_least_number_of_requests() -> None:
    """A minimum query count prolongs the loop, by no more than what was in flight."""
    result = simulate(Closed(0.1, min_requests=1_000), FifoServer(fixed(0.001), workers=4), connections=4)
    assert 1_000 <= result.tally.ok <= 1_004
    assert result.elapsed_s == pytest.approx(0.25, rel=0.02)


def test_closed_loop_that_owes_requests_is_waited_for_no_longer_than_it_says() -> None:
    """Here for a tenth of a second beyond its duration; each process of several has the same patience."""
    schedule = Closed(0.1, min_requests=1_000, patience_s=0.1)
    result = simulate(schedule, FifoServer(fixed(0.001), workers=1), connections=1)
    assert 200 <= result.tally.ok <= 202
    assert [(part.min_requests, part.patience_s) for part in schedule.split(2)] == [(500, 0.1)] * 2


def test_schedule_without_a_request_ends() -> None:
    """A rate so low that nothing is due: the run ends, with nothing to show, and is invalid."""
    result = simulate(Poisson(0.001, 1.0), FifoServer(fixed(0.001)), connections=1)
    assert result.tally.scheduled == 0
    assert not result.verdict.valid
    document = json.loads(to_json(result.result()))
    assert document["response_time_ms"]["mean"] is None
    assert document["throughput_rps"] == 0


def test_windows_merge_by_time() -> None:
    """Two processes, one of which was held up for three windows: counts of the same stretch are added."""

    def run(offsets: tuple[float, ...]) -> Tally:
        return watch(Replay(offsets), [(MS, CORRECT)], 1)[0]

    even, gap = run(tuple(n / 100 for n in range(30))), run((0.0, 0.01, 0.28, 0.29))
    expected = [one.ok + two.ok for one, two in zip(even.windows, gap.windows, strict=True)]
    ends = [window.end_s for window in even.windows]
    even.merge(gap)
    assert [window.ok for window in even.windows] == expected
    assert [window.end_s for window in even.windows] == ends
    assert even.ok == sum(expected) == 34


def test_a_held_up_client_leaves_no_gap_in_the_time_line() -> None:
    """Housekeeping that comes three windows late still closes each of them, so that time lines stay aligned."""
    time = VirtualTime()
    engine = Engine(
        Constant(10.0, 1.0), payloads=1, seed=1, clock=time.clock, wake=time.wake_at, window_s=0.1, timeout_s=10.0
    )
    slot = SimulatedConnection(ScriptedServer([(NEVER, CORRECT)]), time)
    slot.engine = engine
    engine.start([slot])
    for now_ms in (100, 450, 500):
        time.now = now_ms * MS
        engine.housekeeping()
    assert [round(window.end_s, 3) for window in engine.recorder.tally.windows] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert all(math.isnan(window.p50_ms) and window.ok == 0 for window in engine.recorder.tally.windows)


def test_drawing_the_first_request_makes_none_late() -> None:
    """The first draw of a generator takes milliseconds; the run begins after it."""
    time = VirtualTime()

    class SlowToBegin(Constant):
        def times(self, seed: int) -> Iterator[int]:
            """Take its time, in nanoseconds of the virtual clock."""
            time.now += 6 * MS
            yield from super().times(seed)

    engine = Engine(SlowToBegin(100.0, 0.1), payloads=1, seed=1, clock=time.clock, wake=time.wake_at)
    slot = SimulatedConnection(ScriptedServer([(MS, CORRECT)]), time)
    slot.engine = engine
    time.run(engine, [slot])
    tally = engine.result()
    assert tally.ok == 10
    assert tally.lag.percentile(100.0) == 0
