"""One measurement of one configuration: what keeps a server from counting is a result with its reason."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.errors import LaunchError, MeasurementError
from loadtest.experiments import tuning_trial
from loadtest.experiments.simulation import FaultyServer, FifoServer, fixed, simulate
from loadtest.experiments.tuning import Measured
from loadtest.experiments.tuning_trial import TrialRunner
from loadtest.judge.findings import FAILED
from loadtest.judge.objective import Objective
from loadtest.judge.server_result import Parity
from loadtest.load.plan import Load
from loadtest.machine.placement import Placement
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers

SERVICE_S = 0.001


class Room:
    """A launcher of simulated servers; it answers as the test says."""

    def __init__(self) -> None:
        self.placement, self.timeout_s = Placement((0,), (1,)), 120.0
        self.artifact = SimpleNamespace(workload="digits", version="1", shapes="fixed")
        self.started: list[Server] = []
        self.files: list[dict[str, str]] = []
        self.stopped = 0
        self.peak_mib = 200.0
        self.fails = ""
        self.ends = ""
        self.kinds: dict[str, float] = {}

    def start(self, server: Server) -> Any:
        """Start one, whose files are there by now."""
        self.started.append(server)
        folder = server.names.get("tuned")
        self.files.append(
            {path.name: path.read_text() for path in folder.iterdir()} if isinstance(folder, Path) else {}
        )
        if self.fails:
            raise LaunchError(self.fails)
        return SimpleNamespace(
            label=server.label,
            first_prediction_s=2.0,
            describe=dict,
            stop=self._stop,
            usage=lambda: SimpleNamespace(peak_mib=self.peak_mib),
            raise_if_ended=self._end,
        )

    def measure(self, running: Any, load: Load, *_: Any, **__: Any) -> Any:
        """A run in virtual time."""
        server = FaultyServer(FifoServer(fixed(SERVICE_S)), self.kinds)
        return simulate(load.schedule, server, connections=load.connections, seed=load.seed), None

    def _stop(self) -> None:
        self.stopped += 1

    def _end(self) -> None:
        if self.ends:
            raise LaunchError(self.ends)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    """A room in which trials measure."""
    room = Room()
    monkeypatch.setattr(tuning_trial, "measure_server", room.measure)
    monkeypatch.setattr(tuning_trial, "check_parity", lambda *_: Parity(1, 0.0, 1e-5, []))
    monkeypatch.setattr(tuning_trial, "replace", lambda one, **changes: _changed(one, changes))
    return room


def _changed(one: Any, changes: dict[str, Any]) -> Any:
    if isinstance(one, Measured):
        return Measured(**{**vars(one), **changes})
    one.__dict__.update(changes)
    return one


def runner(room: Room, server: str = "flask_server") -> TrialRunner:
    """Trials of one server in that room."""
    launcher: Any = room
    objective = Objective.parse("p99<50ms")
    return TrialRunner(load_servers()[server], launcher, objective, 1_024.0, "rest", 1, 16)


DEFAULT = {"workers": 1, "threads": 4, "runtime_threads": 1}
OTHER = {"workers": 2, "threads": 8, "runtime_threads": 1}


def test_the_default_is_started_as_it_is(room: Room) -> None:
    """Without a flag or a file of the tuner; its label and how long it took to start are kept."""
    trial = runner(room)
    found = trial(DEFAULT, 1)
    assert room.started == [load_servers()["flask_server"]]
    assert trial.label == "Flask + granian (torch)"
    assert room.timeout_s == tuning_trial.LEAST_PATIENCE_S
    assert (found.out, found.limits, found.peak_mib) == ("", [], 200.0)
    assert 0.6 / SERVICE_S < found.capacity_rps < 1.2 / SERVICE_S
    assert room.stopped == 1


def test_another_configuration_finds_its_files(room: Room) -> None:
    """They lie in a folder of that start alone, which is gone afterwards."""
    trial = runner(room)
    assert trial(OTHER, 1, near=900.0).out == ""
    (server,), (files,) = room.started, room.files
    assert server.names["knobs"] == OTHER
    assert "FLASK_SERVER_WORKERS=2" in files["flask_server.env"]
    folder = server.names["tuned"]
    assert isinstance(folder, Path)
    assert not folder.exists()
    assert room.stopped == 1


@pytest.mark.parametrize(
    ("attribute", "value", "told"),
    [
        ("fails", "torchserve ended with exit code 1; its last lines:\n  | no\n", "torchserve ended with exit code 1"),
        ("ends", "torchserve ended with SIGKILL; its last lines:\n  | x", "torchserve ended with SIGKILL"),
        ("peak_mib", 1_500.0, "its peak memory, 1,500 MiB, is above the limit of 1,024 MiB"),
        ("kinds", {"HTTP 503": 1.0}, "it answered nothing under load"),
    ],
)
def test_what_does_not_work_is_out(room: Room, attribute: str, value: Any, told: str) -> None:
    """No exception, one line, and nothing is left running."""
    setattr(room, attribute, value)
    found = runner(room)(OTHER, 1)
    assert found.out.startswith(told)
    assert "\n" not in found.out
    assert found.capacity_rps == 0
    assert room.stopped == (0 if attribute == "fails" else 1)


def test_wrong_answers_are_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the load and under it: the first wrong answer of the parity check is the reason."""
    wrong = Parity(1, 0.5, 1e-5, ["golden example 3: off by 0.5, allowed is 1e-05"])
    monkeypatch.setattr(tuning_trial, "check_parity", lambda *_: wrong)
    assert "golden example 3: off by 0.5" in runner(room)(OTHER, 1).out
    assert room.stopped == 1


def test_a_measurement_that_fails_is_no_reason_against_the_server(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client died: the capacity is not known, and the configuration is not out."""

    def dies(*_: Any, **__: Any) -> Any:
        raise MeasurementError("a client process died")

    monkeypatch.setattr(tuning_trial, "measure_server", dies)
    found = runner(room)(OTHER, 1)
    assert found.out == ""
    assert found.capacity_rps != found.capacity_rps  # NaN
    assert [one.code for one in found.limits] == [FAILED]
