"""runs.jsonl as it is read back: what one command planned, and what it measured before it ended, however it ended."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from loadtest.errors import UsageError
from loadtest.judge.comparison_record import ComparisonRecord
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.entries import (
    KIND,
    SCHEMA_VERSION,
    Begun,
    Entry,
    Failed,
    Header,
    OfComparison,
    Resumed,
    SetupMeasured,
)
from loadtest.judge.entry_lines import from_entry_line
from loadtest.judge.result_file import ResultFile


@dataclass
class RunsRecord:
    """What the lines of a file tell.

    Attributes:
        header: What was planned.
        comparisons: Those that were begun, by name.
        failures: Why one that was begun measured nothing, by its name.
        setups: Models whose ease of setup was measured.
        digest: Of the first line.
        lines: How many lines were read, the header among them.
    """

    header: Header
    digest: str
    comparisons: dict[str, ComparisonRecord] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    setups: list[str] = field(default_factory=list)
    lines: int = 1

    @classmethod
    def read(cls, lines: Iterable[bytes], name: str) -> "RunsRecord":
        """Read the lines of a file.

        Args:
            lines: Its whole lines.
            name: What the file is called in an error.

        Raises:
            UsageError: If it is no such file, of another schema, or damaged; with the number of the line.
        """
        numbered = enumerate(lines, start=1)
        _, first = next(numbered, (1, b""))
        header = from_entry_line(first, f"line 1 of {name}") if first else None
        if not isinstance(header, Header) or header.kind != KIND:
            raise UsageError(f"{name} does not begin as what loadtest compare writes")
        if header.schema_version != SCHEMA_VERSION:
            raise UsageError(f"{name} has schema {header.schema_version}; this release reads {SCHEMA_VERSION}")
        record = cls(header, digest_of(first))
        for number, line in numbered:
            entry = from_entry_line(line, f"line {number} of {name}")
            record.lines += 1
            if entry is not None and not isinstance(entry, Header):
                try:
                    record.take(entry)
                except (KeyError, StopIteration, ValueError) as error:
                    raise UsageError(f"line {number} of {name} does not follow from those before it") from error
        return record

    def take(self, entry: Entry) -> None:
        """Take in what was measured."""
        match entry:
            case Begun(result=result):
                self.comparisons[result.name] = ComparisonRecord(result, entry.artifact_sha256)
            case Failed():
                self.failures[entry.comparison] = entry.reason
            case SetupMeasured():
                self.setups.append(entry.model)
            case Resumed():
                for one in self.unfinished:
                    one.resume(entry.at)
            case OfComparison():
                self.comparisons[entry.comparison].take(entry)

    @property
    def unfinished(self) -> list[ComparisonRecord]:
        """The comparisons that were begun and not ended."""
        return [one for name, one in self.comparisons.items() if name not in self.failures and not one.result.complete]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to measure."""
        ended = {name for name, one in self.comparisons.items() if one.result.complete} | set(self.failures)
        measured = {one.result.workload.name for one in self.comparisons.values() if one.result.complete}
        return ended >= set(self.header.planned) and (not self.header.setup or set(self.setups) >= measured)

    def result_file(self) -> ResultFile:
        """What result.json is made of; comparisons of which nothing was measured are left out."""
        comparisons = [
            one.summarise()
            for name, one in self.comparisons.items()
            if name not in self.failures and _has_something(one.result)
        ]
        failures = dict(self.failures)
        return ResultFile(comparisons, self.header.planned, failures, made_from=self.digest, entries=self.lines)


def _has_something(result: ComparisonResult) -> bool:
    return any(server.parity or server.faults for server in result.servers)


def digest_of(line: bytes) -> str:
    """What tells the file of a first line from every other."""
    return hashlib.sha256(line).hexdigest()
