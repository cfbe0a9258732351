"""Where the CPU time goes: real servers that count, and the place of their runs in a comparison."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from loadtest.errors import LaunchError
from loadtest.experiments import comparison as comparing
from loadtest.experiments import layer_run
from loadtest.experiments.contender import Contender
from loadtest.experiments.expected_time import expected_time, rounds_time
from loadtest.experiments.server_run import measure_server
from loadtest.judge.breakdown import Breakdown
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.findings import NO_LAYERS
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.verdict import Verdict
from loadtest.launch.launcher import LocalLauncher
from loadtest.machine.placement import UNPINNED
from loadtest.machine.usage import Usage
from loadtest.report.wording import words
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from tests.experiments.virtual_room import Room, compared

PLAN = ComparisonPlan(rounds=1, duration_s=1.0, warmup_s=0.3, rate=200.0, connections=2)


@pytest.mark.parametrize(
    ("key", "wire"),
    [
        ("flask_server", "npy"),
        ("torchserve", "rest"),
        ("tf_serving", "rest"),
        ("tf_serving", "grpc"),
    ],
)
def test_a_server_tells_where_its_cpu_time_goes(
    key: str, wire: str, artifact: Artifact, servers: Mapping[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as many requests as the client; each layer takes something, and all of them are what it used."""
    runs: list[MeasuredRun] = []
    used: list[Usage] = []

    def measured(*arguments: Any, **options: Any) -> Any:
        run, usage = measure_server(*arguments, **options)
        assert usage is not None
        runs.append(run)
        used.append(usage)
        return replace(run, verdict=Verdict(True)), usage  # on a busy machine the run itself may be invalid

    monkeypatch.setattr(layer_run, "measure_server", measured)
    server = servers[key]
    assert server.layers is not None
    if server.launch().no_layers:
        server = replace(server, launches=tuple(one for one in server.launches if not one.no_layers))
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    found = layer_run.break_down(Contender(server, wire), launcher, PLAN, length_s=1.0)
    assert [words(fault) for fault in found.faults] == []
    assert found.requests == runs[-1].tally.ok > 0
    assert list(found.layers_us) == servers[key].layers.names  # type: ignore[union-attr]
    assert min(found.layers_us.values()) > 0
    whole_s = sum(found.layers_us.values()) * found.requests / 1e6
    assert whole_s == pytest.approx(used[-1].cpu_s, rel=0.02, abs=0.03)


def test_a_server_without_counters_is_not_started(artifact: Artifact, servers: Mapping[str, Server]) -> None:
    """The reason is in the result; there is nothing to run."""
    silent = replace(servers["flask_server"], layers=None, launches=())
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    found = layer_run.break_down(Contender(silent, "rest"), launcher, PLAN)
    assert [fault.code for fault in found.faults] == [NO_LAYERS]
    assert found.layers_us == {}


class Broken(LocalLauncher):
    """Starts nothing."""

    def start(self, server: Server) -> Any:
        """Fail."""
        raise LaunchError(f"{server.key} cannot be started")


def test_a_server_that_does_not_start_with_its_counters_is_told(
    artifact: Artifact, servers: Mapping[str, Server]
) -> None:
    """It was measured without them, and is no worse for it: the reason stands where the layers would."""
    found = layer_run.break_down(Contender(servers["flask_server"], "rest"), Broken(artifact, UNPINNED), PLAN)
    assert [words(fault) for fault in found.faults] == ["flask_server cannot be started"]


def in_room(room: Room, plan: ComparisonPlan, monkeypatch: pytest.MonkeyPatch, name: str = "local") -> Any:
    """Compare in a room whose servers count."""
    room.name = name
    monkeypatch.setattr(comparing, "break_down", lambda *_, **__: Breakdown({"framework": 3.0}))
    return compared(room, plan, monkeypatch)


def test_every_server_that_was_measured_is_asked_after_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage each; one that the gate kept out is not asked."""
    room = Room({"flask_server": 0.01, "torchserve": 0.01, "gone": math.nan})
    result = in_room(room, replace(PLAN, layers=True), monkeypatch)
    told = Breakdown({"framework": 3.0})
    assert [server.breakdown for server in result.servers] == [told, told, None]
    stages = [text for text, _, _ in room.stages]
    assert stages[-2:] == ["CPU time of flask_server, layer by layer", "CPU time of torchserve, layer by layer"]
    assert all(done < total for _, done, total in room.stages)
    assert result.complete


@pytest.mark.parametrize(("layers", "launcher"), [(False, "local"), (True, "compose")])
def test_nobody_is_asked_where_it_is_not_wanted_or_cannot_be(
    layers: bool, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only servers that this program starts as processes can be told where to count."""
    room = Room({"flask_server": 0.01})
    result = in_room(room, replace(PLAN, layers=layers), monkeypatch, launcher)
    assert result.servers[0].breakdown is None
    assert not any("layer" in text for text, _, _ in room.stages)
    assert room.stages[-1][1] == room.stages[-1][2] - 1


def test_it_takes_its_time() -> None:
    """What is expected of a comparison includes the run of each server."""
    with_layers = replace(PLAN, layers=True)
    for expected in (expected_time, rounds_time):
        more = expected(with_layers, 3).low - expected(PLAN, 3).low
        assert more >= 3 * layer_run.LENGTH_S
