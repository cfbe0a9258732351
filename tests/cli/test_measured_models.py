"""Several models in one result, measured in virtual time: each in its turn, and none keeps the others from it."""

import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from loadtest.cli.comparison_screen import ComparisonScreen
from loadtest.cli.measured_models import MeasuredModels
from loadtest.cli.sitting import Asked, Sitting, opened
from loadtest.errors import MeasurementError
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import comparison_name
from loadtest.judge.method import METHOD
from loadtest.judge.result_file import ResultFile
from loadtest.judge.surroundings import Surroundings
from loadtest.machine.host import describe_host
from loadtest.machine.journal import read_lines
from loadtest.report.reading import read_results
from loadtest.report.runs_file import RUNS, read_runs
from tests.experiments.virtual_room import Room, enter, servers_of

PLANS = [
    ComparisonPlan(rounds=3, duration_s=1.0, warmup_s=0.0, rate=200.0, connections=2, batch=batch) for batch in (1, 8)
]


def measured(
    rooms: list[Room],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    plans: list[ComparisonPlan],
    *,
    resume: bool = False,
) -> tuple[ResultFile, list[str]]:
    """The result of one room after the other, and what was said meanwhile."""
    said: list[str] = []
    names = [comparison_name(room.workload, plan.batch) for room in rooms for plan in plans]
    around = Surroundings(METHOD, "virtual", describe_host(), "", {}, {})
    asked = Asked(names, plans, [one.key for one in servers_of(rooms[0])], False, around)
    sitting = Sitting.go_on(folder, *opened(folder), asked) if resume else Sitting.begin(folder, asked.header({}))
    screen = ComparisonScreen(Console(quiet=True), sitting, more_stages=0, say=said.append)

    class Entering(dict[str, Any]):
        """The launchers; what is measured in a room begins with it."""

        def items(self) -> Any:
            for name, room in super().items():
                enter(room, monkeypatch)
                yield name, room

    launchers = Entering({room.workload: room for room in rooms})
    with sitting, sitting.kept_when_ended():
        MeasuredModels(servers_of(rooms[0]), plans, screen, sitting, None).measure(launchers)
        sitting.save()
    return sitting.file, said


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
    """Every model is named with its reason, which runs.jsonl keeps."""
    rooms = [Room({"one": math.nan}, workload=name) for name in ("gone", "lost")]
    with pytest.raises(MeasurementError, match=r"nothing could be measured: gone: .*cannot be started; lost: "):
        measured(rooms, tmp_path, monkeypatch, PLANS[:1])
    assert list(read_runs(tmp_path / RUNS).record.failures) == ["gone", "lost"]
    assert [room.closed for room in rooms] == [1, 1]


def test_the_only_comparison_fails_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one model its own error ends the command."""
    with pytest.raises(MeasurementError, match="no server could be measured"):
        measured([Room({"one": math.nan})], tmp_path, monkeypatch, PLANS[:1])


def test_several_models_go_on_where_they_were_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended in the third of four comparisons: what was complete or hopeless is not begun again, and nothing is lost."""

    def rooms() -> list[Room]:
        return [
            Room({"one": math.nan if name == "gone" else 0.0}, workload=name) for name in ("light", "gone", "heavy")
        ]

    plans, whole = PLANS[:1], tmp_path / "whole"
    expected, _ = measured(rooms(), whole, monkeypatch, plans)
    lines = read_lines(whole / RUNS).whole
    at = next(number for number, line in enumerate(lines) if b'"heavy"' in line and b'"part":"closed_loop"' in line)
    keep, ended = Sitting.keep, tmp_path / "ended"

    def interrupted(self: Sitting, entry: Any) -> None:
        if self.file.entries == at:
            raise KeyboardInterrupt
        keep(self, entry)

    with monkeypatch.context() as patched:
        patched.setattr(Sitting, "keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measured(rooms(), ended, patched, plans)
    first = read_results(ended)
    assert [one.complete for one in first.comparisons.values()] == [True, False]
    assert list(first.unmeasured) == ["gone"]
    later = rooms()
    file, said = measured(later, ended, monkeypatch, plans, resume=True)
    assert [bool(room.now_s) for room in later] == [False, False, True], "time has passed in the last room only"
    assert [line.partition(":")[0] for line in said] == ["heavy"]
    for one, two in zip(file.comparisons, expected.comparisons, strict=True):
        assert one.complete
        assert one.summary == two.summary
        assert bool(one.resumed) == (one.name == "heavy")
    assert file.failures == expected.failures
    assert read_results(ended).unmeasured == file.failures
