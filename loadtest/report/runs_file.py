"""Reads runs.jsonl: what there is of a comparison that was ended before it had written its result.json."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.judge.entries import OfServer, Probed, RunEnded
from loadtest.judge.runs_record import RunsRecord
from loadtest.machine.journal import read_lines

RUNS = "runs.jsonl"


@dataclass(frozen=True)
class Runs:
    """What a runs.jsonl holds.

    Attributes:
        record: What its lines tell.
        cut_short: Whether a further line was begun and not ended.
    """

    record: RunsRecord
    cut_short: bool

    @property
    def remarks(self) -> list[str]:
        """What of it is in no number."""
        told = ["the last line of runs.jsonl was cut short and is left out"] if self.cut_short else []
        return told + [text for one in self.record.unfinished if (text := _told(one.result.names, one.under_way))]


def read_runs(path: Path) -> Runs:
    """Read a runs.jsonl, which may be written to meanwhile.

    Raises:
        UsageError: If it cannot be read, or is none.
    """
    lines = read_lines(path)
    if not lines.whole:
        raise UsageError(f"{path} holds nothing: measure again")
    return Runs(RunsRecord.read(lines.whole, str(path)), lines.cut_short)


def _told(names: dict[str, str], under_way: list[OfServer]) -> str:
    """What was measured in the turn in which the comparison was ended."""
    parts = list(_parts(under_way))
    if not parts:
        return ""
    many = ", ".join(dict.fromkeys(parts))
    return (
        f"{names[under_way[0].server]} was being measured: what ended of that turn stands in runs.jsonl and in no "
        f"number ({many})"
    )


def _parts(under_way: list[OfServer]) -> Iterator[str]:
    for entry in under_way:
        if isinstance(entry, RunEnded) and entry.round:
            yield f"round {entry.round}, {entry.part.replace('_', ' ')}"
    probes = sum(isinstance(entry, Probed) for entry in under_way)
    if probes:
        yield f"probes of its capacity: {probes}"
