"""Comparisons in virtual time: servers, starts and the clock are simulated, the loop is the real one."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loadtest.errors import LaunchError
from loadtest.experiments import comparison as comparing
from loadtest.experiments import turn
from loadtest.experiments.contender import Contender
from loadtest.experiments.simulation import FifoServer, fixed, simulate
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.server_result import MessageBytes, Parity
from loadtest.load.plan import Load
from loadtest.machine.placement import UNPINNED
from loadtest.servers.server_toml import load_servers

START_S = 1.0


@dataclass
class Room:
    """A room with simulated servers and a clock.

    Attributes:
        scatter: By server key: how much its service time differs from start to start, as a standard deviation of the
            logarithm; NaN for a server that cannot be started.
        now_s: The clock.
        stages: What the watcher was told.
        workload: Name of the model.
        closed: How often the room was closed.
    """

    scatter: dict[str, float]
    now_s: float = 0.0
    workload: str = "digits"
    closed: int = 0
    stages: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = {key: np.random.default_rng(len(key)) for key in self.scatter}
        self.name, self.placement = "virtual", UNPINNED
        self.artifact: Any = SimpleNamespace(
            folder=Path("/nowhere"),
            load=SimpleNamespace(batches=lambda batch: []),
            fresh=SimpleNamespace(batches=lambda batch: []),
            max_instances=64,
            workload=self.workload,
            version="1",
            tolerance=1e-5,
            manifest={
                "inputs": [],
                "quality": {"name": "accuracy", "value": 1.0},
                "seed": 0,
                "versions": {},
            },
            weights_sha256="0",
            carried_as=lambda kind: self.artifact,
        )

    def describe(self) -> dict[str, Any]:
        """What the servers run in."""
        return {"launcher": self.name}

    def close(self) -> None:
        """Count it."""
        self.closed += 1

    def start(self, server: Any) -> Any:
        """Start a server; how fast it is this time is drawn."""
        self.now_s += START_S
        if math.isnan(self.scatter[server.key]):
            raise LaunchError(f"{server.key} cannot be started")
        service_s = 0.001 * math.exp(self._random[server.key].normal(0, self.scatter[server.key]))
        return SimpleNamespace(
            label=server.key,
            first_prediction_s=START_S,
            url_over=lambda wire: "",
            headers={},
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
    enter(room, monkeypatch)
    launcher: Any = room
    return comparing.compare(servers_of(room), launcher, plan, watcher)


def servers_of(room: Room) -> Any:
    """The servers of a room, as a comparison takes them."""
    return [Contender(replace(load_servers()["flask_server"], key=key), "rest") for key in room.scatter]


def enter(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let comparisons measure in that room."""
    monkeypatch.setattr(comparing, "time", SimpleNamespace(monotonic=lambda: room.now_s))
    monkeypatch.setattr(turn, "measure_server", room.measure)
    monkeypatch.setattr(turn, "audit_caching", lambda *_, **__: None)
    monkeypatch.setattr(turn, "check_parity", lambda *_: Parity(1, 0.0, 1e-5, []))
    monkeypatch.setattr(turn, "message_bytes", lambda *_: MessageBytes(100.0, 50.0))
    monkeypatch.setattr(comparing, "time_forward_passes", lambda *_: [])
