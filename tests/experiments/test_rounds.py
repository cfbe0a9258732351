"""The rounds of a comparison in virtual time: servers, starts and the clock are simulated, the loop is the real one."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from loadtest.errors import MeasurementError
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.intervals import geometric_estimate
from loadtest.judge.stopping import SETTLED
from loadtest.report.answer import conditions
from tests.experiments.virtual_room import Room, compared


def plan(**other: Any) -> ComparisonPlan:
    """Rounds that take 1.5 s of measurement and a start."""
    return ComparisonPlan(rounds=3, duration_s=1.0, warmup_s=0.0, rate=200.0, connections=2, **other)


def test_rounds_go_on_until_every_interval_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steady server waits for the one that scatters; what was run, and that it sufficed, stands in the result."""
    room = Room({"steady": 0.01, "wild": 0.2})
    result = compared(room, plan(until="ceiling ±15%", within_s=3_600.0), monkeypatch)
    wild, steady = (next(row for row in result.summary if row.key == key).ceiling_rps for key in ("wild", "steady"))
    assert result.until_reached
    assert result.plan.rounds > SETTLED
    assert [len(server.rounds) for server in result.servers] == [result.plan.rounds] * 2
    for found in (wild, steady):
        assert found.high / found.value < 1.15
    before = [one.closed_loop.throughput_rps for one in result.servers[1].rounds[:-1]]
    earlier = geometric_estimate(before)
    assert earlier.high / earlier.value > 1.15, "one round less would not have done"
    assert f"{result.plan.rounds} rounds of 1 s until ceiling ±15 %, launcher" in conditions(result)


def test_progress_never_goes_beyond_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further rounds are further steps: done is below the total at every stage, and the total never falls."""
    room = Room({"steady": 0.01, "wild": 0.2})
    compared(room, plan(until="ceiling ±15%", within_s=3_600.0), monkeypatch)
    assert all(done < total for _, done, total in room.stages)
    assert all(one[2] <= two[2] for one, two in itertools.pairwise(room.stages))
    assert room.stages[-1][1] == room.stages[-1][2] - 1


def test_rounds_end_within_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round takes 2.5 s: within 30 s there is time for twelve, and that they were not enough is told."""
    room = Room({"wild": 0.5})
    result = compared(room, plan(until="ceiling ±5%", within_s=30.0), monkeypatch)
    assert result.until_reached is False
    assert result.plan.rounds == 12
    assert "until ceiling ±5 %, which was not reached within 0.5 minutes" in conditions(result)


def test_rounds_do_not_wait_for_a_server_that_the_gate_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no interval and never will: the others decide."""
    result = compared(
        Room({"steady": 0.01, "gone": math.nan}), plan(until="ceiling ±15%", within_s=3_600.0), monkeypatch
    )
    assert result.until_reached
    assert result.plan.rounds == SETTLED


def test_rounds_too_short_for_the_percentile_are_refused_after_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the ceiling is some 490/s, and a second of it too little for p99: no round is begun."""
    room = Room({"steady": 0.01})
    asked = ComparisonPlan(duration_s=1.0, warmup_s=0.0, connections=2, until="p99 ±10%")
    with pytest.raises(MeasurementError, match="raise --duration to 2"):
        compared(room, asked, monkeypatch)
    assert not any("round" in text for text, _, _ in room.stages)


@pytest.mark.parametrize(
    ("rate", "ceiling", "length_s", "warmup_s"),
    [
        (430.0, 860.0, 5.0, 10.0),
        (39.0, 78.0, 19.0, 10.0),
        (4.5, 9.0, 35.0, 22.0),
        (0.5, 1.0, 40.0, 40.0),
        (0.1, 0.2, 5.0, 40.0),
    ],
)
def test_runs_are_as_long_as_their_percentile_needs(
    rate: float, ceiling: float, length_s: float, warmup_s: float
) -> None:
    """For p99, at a lower rate for p95, then for the median; where that cannot be had either they stay as they are."""
    asked = ComparisonPlan(stretch_s=40.0)
    found = asked.at_rate(rate, ceiling)
    assert (found.common_rate_rps, found.duration_s, found.warmup_s) == (rate, length_s, warmup_s)
    exactly = replace(asked, stretch_s=0.0).at_rate(rate, ceiling)
    assert (exactly.duration_s, exactly.warmup_s) == (asked.duration_s, asked.warmup_s)


def test_what_is_asked_of_the_width_decides_the_length() -> None:
    """Rounds that go on until p95 is narrow are as long as p95 needs, although p99 could be had."""
    assert ComparisonPlan(stretch_s=40.0, until="p95 ±10%").at_rate(20.0, 40.0).duration_s == 8.0


def test_without_a_width_there_are_as_many_rounds_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is said of a width."""
    result = compared(Room({"wild": 0.5}), plan(), monkeypatch)
    assert len(result.servers[0].rounds) == result.plan.rounds == 3
    assert result.until_reached is None
    assert "until" not in conditions(result)
