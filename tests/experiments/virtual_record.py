"""Records of comparisons in virtual time, made by the real loop."""

import math
from dataclasses import replace
from typing import Any

import pytest

from loadtest.experiments import comparison as comparing
from loadtest.experiments import turn
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.entries import Entry, Header
from loadtest.judge.entry_lines import to_entry_line
from loadtest.judge.method import METHOD
from loadtest.judge.runs_record import RunsRecord
from loadtest.judge.surroundings import Surroundings
from loadtest.machine.host import describe_host
from tests.experiments.virtual_room import Room, enter, servers_of

PLAN = ComparisonPlan(rounds=2, duration_s=0.5, warmup_s=0.0, rate=100.0, connections=2, curve=(0.3,))
UNTIL = replace(PLAN, rounds=1, curve=(), until="ceiling ±15%", within_s=3_600.0)
CONTENDERS = servers_of(Room({"one": 0.0, "two": 0.0, "gone": math.nan}))
STEADY = {"one": 0.0, "two": 0.0, "gone": math.nan}
"""Each start of a server is as fast as the last one, so that two sittings can be compared exactly; one never starts."""


class Ended(BaseException):
    """What ends a sitting: as with Ctrl-C, no fault of a server."""


class Disk(comparing.Watcher):
    """Keeps lines, and ends the sitting after so many."""

    def __init__(self, room: Room, lines: list[bytes], most: int) -> None:
        self.lines, self._room, self._most = lines, room, most

    def measured(self, entry: Entry) -> None:
        """Keep the line."""
        if len(self.lines) == self._most:
            raise Ended
        self.lines.append(to_entry_line(entry))

    def stage(self, text: str, done: int, total: int) -> None:
        """A stage is within the whole."""
        self._room.stages.append((text, done, total))


def header_line(plan: ComparisonPlan) -> bytes:
    """The first line."""
    around = Surroundings(METHOD, "virtual", describe_host(), "", {}, {})
    return to_entry_line(Header("", [], {}, ["digits"], [plan], list(STEADY), False, around))


def sitting(
    plan: ComparisonPlan, lines: list[bytes], most: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[ComparisonResult, Room]:
    """Compare, or go on from what the lines hold."""
    room = Room(dict(STEADY))
    enter(room, monkeypatch)
    monkeypatch.setattr(turn, "GATE_S", 0.3)
    earlier = RunsRecord.read(lines, "it").comparisons.get("digits")
    launcher: Any = room
    return comparing.compare(CONTENDERS, launcher, plan, Disk(room, lines, most), (), earlier), room


def whole(plan: ComparisonPlan, monkeypatch: pytest.MonkeyPatch) -> tuple[ComparisonResult, list[bytes]]:
    """A comparison that nothing ends, and its lines."""
    lines = [header_line(plan)]
    return sitting(plan, lines, 1_000, monkeypatch)[0], lines
