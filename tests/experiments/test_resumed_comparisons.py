"""A comparison that is ended after any line of its record and gone on with: the same as one that was not, line by line.

In virtual time: servers, starts and the clock are simulated, the loop, the record and its lines are the real ones.
"""

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.errors import StorageError, UsageError
from loadtest.experiments import comparison as comparing
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_record import ComparisonRecord
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.entries import Begun, Entry, Resumed, RunEnded
from loadtest.judge.entry_lines import to_entry_line
from loadtest.judge.runs_record import RunsRecord
from loadtest.records import to_json
from tests.experiments.virtual_record import CONTENDERS, PLAN, STEADY, UNTIL, Disk, Ended, header_line, sitting, whole
from tests.experiments.virtual_room import Room


def told(result: ComparisonResult) -> dict[str, Any]:
    """A result without what differs from sitting to sitting."""
    document: dict[str, Any] = json.loads(to_json(result))
    return {name: value for name, value in document.items() if name not in ("started_at", "took_s", "resumed")}


@pytest.mark.parametrize(("plan", "every"), [(PLAN, 1), (UNTIL, 5)], ids=["rounds", "until"])
def test_a_comparison_goes_on_wherever_it_was_ended(
    plan: ComparisonPlan, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each line there is: the result is the one of a single sitting, with the same runs in the same order."""
    expected, lines = whole(plan, monkeypatch)
    for most in range(1, len(lines), every):
        kept = [lines[0]]
        with pytest.raises(Ended):
            sitting(plan, kept, most, monkeypatch)
        assert len(kept) == most
        kept.append(to_entry_line(Resumed("2026-01-01T00:00:00+00:00")))
        result, room = sitting(plan, kept, 1_000, monkeypatch)
        assert told(result) == told(expected), f"ended after line {most}: {lines[most - 1][:80]!r}"
        assert result.resumed == ["2026-01-01T00:00:00+00:00"] * (most > 2), "with something measured before"
        assert runs(kept) == runs(lines)
        assert all(done < total for _, done, total in room.stages)


def test_a_comparison_may_be_ended_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sitting gets one turn further and ends in the next one."""
    expected, lines = whole(PLAN, monkeypatch)
    kept, sittings = [lines[0]], 0
    while True:
        sittings += 1
        try:
            result, _ = sitting(PLAN, kept, len(kept) + 6, monkeypatch)
            break
        except Ended:
            kept.append(to_entry_line(Resumed(f"sitting {sittings}")))
    assert sittings > 4
    assert told(result) == told(expected)
    assert result.resumed == [f"sitting {number}" for number in range(1, sittings)]
    assert result.took_s > 0


def test_a_record_gives_the_result_that_was_made_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read back is the result of the comparison, its numbers included."""
    expected, lines = whole(PLAN, monkeypatch)
    (found,) = RunsRecord.read(lines, "it").result_file().comparisons
    assert json.loads(to_json(found)) == json.loads(to_json(expected))
    assert found.complete
    assert RunsRecord.read(lines, "it").finished
    assert not RunsRecord.read(lines[:-1], "it").finished


def test_a_turn_under_way_is_in_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run of a round is kept and told, and the round is not there before its last one."""
    _, lines = whole(PLAN, monkeypatch)
    at = next(number for number, line in enumerate(lines) if b'"round":2,"part":"open_loop"' in line)
    record = RunsRecord.read(lines[: at + 1], "it").comparisons["digits"]
    (run,) = record.under_way
    assert isinstance(run, RunEnded)
    assert [one.number for one in record.result.of(run.server).rounds] == [1]
    assert not record.has_ended("round", run.server, 2)
    assert record.has_ended("round", run.server, 1)


def test_a_disk_that_is_full_is_no_fault_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the comparison at once, in the middle of a turn, and nothing is noted beside a server."""
    expected, lines = whole(PLAN, monkeypatch)
    kept = [lines[0]]

    def full(self: Disk, entry: Entry) -> None:
        if isinstance(entry, RunEnded):
            raise StorageError("cannot write runs.jsonl: No space left on device")
        kept.append(to_entry_line(entry))

    with monkeypatch.context() as patched:
        patched.setattr(Disk, "measured", full)
        with pytest.raises(StorageError):
            sitting(PLAN, kept, 1_000, patched)
    assert not any(server.faults for server in RunsRecord.read(kept, "it").comparisons["digits"].result.servers)
    assert told(sitting(PLAN, kept, 1_000, monkeypatch)[0]) == told(expected)


def test_another_model_or_other_cores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured with one build of a model is not gone on with by another."""
    _, lines = whole(PLAN, monkeypatch)
    launcher: Any = Room(dict(STEADY))
    for change, words in (
        (lambda one: replace(one, artifact_sha256="other"), "another build of the model digits"),
        (lambda one: replace(one, result=pinned(one.result)), r"the server on cores \[0\]"),
    ):
        earlier = record_of(lines[1:4], change)
        with pytest.raises(UsageError, match=words):
            comparing.compare(CONTENDERS, launcher, PLAN, None, (), earlier)


def pinned(result: ComparisonResult) -> ComparisonResult:
    """The result on cores of its own."""
    return replace(result, placement=replace(result.placement, server=(0,), client=(1,)))


def record_of(lines: Sequence[bytes], change: Callable[[Begun], Begun]) -> ComparisonRecord:
    """The record of a comparison that began otherwise."""
    (record,) = RunsRecord.read([header_line(PLAN), *lines], "it").comparisons.values()
    begun = change(Begun(record.result, record.artifact_sha256))
    return ComparisonRecord(begun.result, begun.artifact_sha256)


def test_a_clock_that_is_set_changes_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour forth and back at every look at it: the same runs in the same order, and the same numbers."""
    expected, lines = whole(PLAN, monkeypatch)
    looks = iter(range(1_000))

    class Stepping(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Stepping":
            return cls(2026, 1, 1, 12 + (-1) ** next(looks), tzinfo=tz)

    monkeypatch.setattr(comparing, "datetime", SimpleNamespace(datetime=Stepping, UTC=datetime.UTC))
    found, again = whole(PLAN, monkeypatch)
    assert told(found) == told(expected)
    assert runs(again) == runs(lines)


def runs(lines: list[bytes]) -> list[tuple[str, str]]:
    """The runs that count, by the server and the part, in the order of the turns that ended."""
    taken: list[tuple[str, str]] = []
    under_way: list[tuple[str, str]] = []
    for line in map(json.loads, lines):
        if line["what"] == "RunEnded":
            run = line["run"]["run"]
            under_way.append((line["server"], f"{line['round']} {line['part']} {run['seed']} {run['rate']}"))
        elif line["what"] == "TurnEnded":
            taken += under_way
            under_way = []
        elif line["what"] == "Resumed":
            under_way = []
    return taken
