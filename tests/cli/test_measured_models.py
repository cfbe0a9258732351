"""Several models in one result, measured in virtual time: each in its turn, and none keeps the others from it."""

import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtest.cli.comparison_screen import ComparisonScreen
from loadtest.cli.measured_models import MeasuredModels
from loadtest.errors import MeasurementError
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import comparison_name
from loadtest.judge.result_file import ResultFile
from loadtest.report.reading import read_results
from tests.experiments.virtual_room import Room, enter, servers_of

PLANS = [
    ComparisonPlan(rounds=3, duration_s=1.0, warmup_s=0.0, rate=200.0, connections=2, batch=batch) for batch in (1, 8)
]


def measured(
    rooms: list[Room], folder: Path, monkeypatch: pytest.MonkeyPatch, plans: list[ComparisonPlan]
) -> tuple[ResultFile, list[str]]:
    """The result of one room after the other, and what was said meanwhile."""
    said: list[str] = []
    file = ResultFile(planned=[comparison_name(room.workload, plan.batch) for room in rooms for plan in plans])
    screen = ComparisonScreen(Console(quiet=True), file, folder, more_stages=0, say=said.append)

    class Entering(dict[str, Any]):
        """The launchers; what is measured in a room begins with it."""

        def items(self) -> Any:
            for name, room in super().items():
                enter(room, monkeypatch)
                yield name, room

    launchers = Entering({room.workload: room for room in rooms})
    MeasuredModels(servers_of(rooms[0]), plans, screen, file, folder, None).measure(launchers)
    return file, said


def test_each_model_is_compared_with_each_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order that was asked for; each launcher is closed, and how long the rounds take is told before them."""
    rooms = [Room({"one": 0.01, "two": 0.2}, workload=name) for name in ("light", "heavy")]
    file, said = measured(rooms, tmp_path, monkeypatch, PLANS)
    names = ["light", "light@8", "heavy", "heavy@8"]
    assert [one.name for one in file.comparisons] == file.planned == names
    assert all(one.complete and one.took_s > 0 for one in file.comparisons)
    assert [room.closed for room in rooms] == [1, 1]
    assert [line.partition(":")[0] for line in said] == names
    assert all("200 requests/s, runs of 1 s; the rounds take 1" in line for line in said)
    assert list(read_results(tmp_path).comparisons) == names


def test_a_model_without_a_server_keeps_none_from_being_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted with its reason, its launcher is closed, and the next model has its rounds."""
    rooms = [Room({"one": math.nan}, workload="gone"), Room({"one": 0.01}, workload="there")]
    file, _ = measured(rooms, tmp_path, monkeypatch, PLANS[:1])
    assert [one.name for one in file.comparisons] == ["there"]
    assert "one cannot be started" in file.failures["gone"]
    assert [room.closed for room in rooms] == [1, 1]
    assert read_results(tmp_path).unmeasured == file.failures


def test_where_nothing_can_be_measured_the_command_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is named with its reason, and no result is left."""
    rooms = [Room({"one": math.nan}, workload=name) for name in ("gone", "lost")]
    with pytest.raises(MeasurementError, match=r"nothing could be measured: gone: .*cannot be started; lost: "):
        measured(rooms, tmp_path, monkeypatch, PLANS[:1])
    assert list(tmp_path.iterdir()) == []
    assert [room.closed for room in rooms] == [1, 1]


def test_the_only_comparison_fails_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one model its own error ends the command."""
    with pytest.raises(MeasurementError, match="no server could be measured"):
        measured([Room({"one": math.nan})], tmp_path, monkeypatch, PLANS[:1])
