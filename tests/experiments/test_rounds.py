"""The rounds of a comparison in virtual time: servers, starts and the clock are simulated, the loop is the real one."""

import itertools
import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loadtest.errors import LaunchError, MeasurementError
from loadtest.experiments import comparison as comparing
from loadtest.experiments.simulation import FifoServer, fixed, simulate
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import geometric_estimate
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.server_result import Parity
from loadtest.judge.stopping import SETTLED
from loadtest.load.plan import Load
from loadtest.machine.placement import UNPINNED
from loadtest.report.answer import conditions

START_S = 1.0


@dataclass
class Room:
    """A room with simulated servers and a clock.

    Attributes:
        scatter: By server key: how much its service time differs from start to start, as a standard deviation of the
            logarithm; NaN for a server that cannot be started.
        now_s: The clock.
        stages: What the watcher was told.
    """

    scatter: dict[str, float]
    now_s: float = 0.0
    stages: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = {key: np.random.default_rng(len(key)) for key in self.scatter}
        self.name, self.placement = "virtual", UNPINNED
        self.artifact = SimpleNamespace(
            load=SimpleNamespace(batches=lambda batch: []),
            fresh=SimpleNamespace(batches=lambda batch: []),
            max_instances=1,
            workload="digits",
            version="1",
            tolerance=1e-5,
            manifest={
                "quality": {"name": "accuracy", "value": 1.0},
                "seed": 0,
                "versions": {},
                "files": {"weights.safetensors": {"sha256": "0"}},
            },
        )

    def describe(self) -> dict[str, Any]:
        """What the servers run in."""
        return {"launcher": self.name}

    def start(self, server: Any) -> Any:
        """Start a server; how fast it is this time is drawn."""
        self.now_s += START_S
        if math.isnan(self.scatter[server.key]):
            raise LaunchError(f"{server.key} cannot be started")
        service_s = 0.001 * math.exp(self._random[server.key].normal(0, self.scatter[server.key]))
        return SimpleNamespace(
            label=server.key,
            first_prediction_s=START_S,
            url="",
            service_s=service_s,
            describe=dict,
            effective=dict,
            stop=lambda: None,
        )

    def measure(self, running: Any, load: Load, *_: Any, **__: Any) -> tuple[MeasuredRun, None]:
        """A run in virtual time."""
        self.now_s += load.schedule.duration_s
        server = FifoServer(fixed(running.service_s))
        return simulate(load.schedule, server, connections=load.connections, seed=load.seed), None

    def stage(self, text: str, done: int, total: int) -> None:
        """Keep what the watcher is told."""
        self.stages.append((text, done, total))


def compared(room: Room, plan: ComparisonPlan, monkeypatch: pytest.MonkeyPatch) -> ComparisonResult:
    """The result of a comparison in that room."""
    watcher = comparing.Watcher()
    monkeypatch.setattr(watcher, "stage", room.stage)
    monkeypatch.setattr(comparing, "time", SimpleNamespace(monotonic=lambda: room.now_s))
    monkeypatch.setattr(comparing, "measure_server", room.measure)
    monkeypatch.setattr(comparing, "audit_caching", lambda *_, **__: None)
    monkeypatch.setattr(comparing, "check_parity", lambda *_: Parity(1, 0.0, 1e-5, []))
    monkeypatch.setattr(comparing, "time_forward_passes", lambda *_: [])
    servers: Any = [SimpleNamespace(key=key, runtime="torch", facts="") for key in room.scatter]
    launcher: Any = room
    return comparing.compare(servers, launcher, plan, watcher)


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
    [(430.0, 860.0, 5.0, 10.0), (39.0, 78.0, 19.0, 10.0), (4.5, 9.0, 35.0, 22.0), (0.5, 1.0, 5.0, 40.0)],
)
def test_runs_are_as_long_as_their_percentile_needs(
    rate: float, ceiling: float, length_s: float, warmup_s: float
) -> None:
    """At a low rate for p99, at a lower one for p95, and at one that is too low even for that they stay as they are."""
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
