"""soak.jsonl, which grows by a line for each sample, and soak.json, which is made of it when a server has ended.

A command that is killed leaves soak.jsonl, and whoever reads a folder takes that where it is there. A server that is
soaked again in the same folder replaces itself; the older lines stay.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loadtest.errors import UsageError
from loadtest.machine.files import read_bytes, write_whole
from loadtest.machine.journal import Journal, read_lines
from loadtest.records import Number, from_json, lines_schema, to_json, to_line
from loadtest.resilience.command_record import CommandRecord
from loadtest.resilience.soak import SoakPlan
from loadtest.resilience.soak_result import Soak, soak_of
from loadtest.resilience.soak_sample import SoakSample, SoakTotals

SOAK, SAMPLES = "soak.json", "soak.jsonl"
TAG = "what"


class SoakBegun(CommandRecord):
    """Line of a command that begins."""


@dataclass(frozen=True)
class ServerBegun:
    """Line of a server that is warm, or could not be started; see `Soak`."""

    server: str
    label: str
    stands_in_for: str | None
    wire: str
    plan: SoakPlan
    pace_rps: Number


@dataclass(frozen=True)
class Sampled:
    """Line of a sample of the server whose line is the latest before it."""

    sample: SoakSample


@dataclass(frozen=True)
class ServerEnded:
    """Line of the end of that server's soak: its totals, or why it came to no end."""

    totals: SoakTotals | None = None
    fault: str | None = None


Line = SoakBegun | ServerBegun | Sampled | ServerEnded
KINDS: Mapping[str, type] = {kind.__name__: kind for kind in (SoakBegun, ServerBegun, Sampled, ServerEnded)}


@dataclass(frozen=True, kw_only=True)
class SoakFile(CommandRecord):
    """What soak.json holds, of the latest command and of all servers.

    Attributes:
        servers: What was found of each server, by its key.
    """

    kind: Literal["soak"] = "soak"
    servers: Mapping[str, Soak]


@dataclass
class _Server:
    begun: ServerBegun
    samples: list[SoakSample] = field(default_factory=list)
    ended: ServerEnded = field(default_factory=ServerEnded)

    def soak(self) -> Soak:
        begun = self.begun
        return soak_of(
            begun.label,
            begun.stands_in_for,
            begun.wire,
            begun.plan,
            begun.pace_rps,
            self.samples,
            self.ended.totals,
            self.ended.fault,
        )


class SoakRecord:
    """Everything that the lines of a folder tell.

    Args:
        lines: In their order, the first one of which is a `SoakBegun`.

    Raises:
        UsageError: If it is not.
    """

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self._begun: SoakBegun | None = None
        self._servers: dict[str, _Server] = {}
        self._latest: _Server | None = None
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> None:
        """Take a line in.

        Raises:
            UsageError: If it cannot follow those before it.
        """
        if isinstance(line, SoakBegun):
            if self._begun and _kind(self._begun) != _kind(line):
                raise UsageError(
                    f"the folder holds a soak of {self._begun.workload} with another model or launcher: "
                    "name another one with --out"
                )
            self._begun, self._latest = line, None
        elif isinstance(line, ServerBegun):
            self._latest = self._servers[line.server] = _Server(line)
        elif self._latest is None:
            raise UsageError("a line is of no server")
        elif isinstance(line, Sampled):
            self._latest.samples.append(line.sample)
        else:
            self._latest.ended = line

    def file(self) -> SoakFile:
        """The summary of all that is there.

        Raises:
            UsageError: If nothing is.
        """
        begun = self._begun
        if begun is None:
            raise UsageError("no soak was begun")
        return SoakFile(**vars(begun), servers={key: one.soak() for key, one in self._servers.items()})


class SoakWriter:
    """Adds lines to soak.jsonl, and writes soak.json when asked to; to be used in a ``with``.

    Args:
        folder: Of both.
        begun: Of the command that begins.

    Raises:
        UsageError: If the folder holds a soak of another model or launcher, or another command writes to it.
        StorageError: If it cannot be written to.
    """

    def __init__(self, folder: Path, begun: SoakBegun) -> None:
        self._folder = folder
        path = folder / SAMPLES
        self._record = SoakRecord(_lines(path) if path.is_file() else ())
        self._record.add(begun)
        self._journal = Journal(path)
        self._write(begun)

    def add(self, line: Line) -> None:
        """Keep a line; when this returns, it is on the disk."""
        self._record.add(line)
        self._write(line)

    def summarise(self) -> SoakFile:
        """Write soak.json, whole or not at all, and return it."""
        file = self._record.file()
        write_whole(self._folder / SOAK, to_json(file).decode())
        return file

    def __enter__(self) -> "SoakWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        self._journal.close()

    def _write(self, line: Line) -> None:
        self._journal.add(to_line(line, **{TAG: type(line).__name__}))


def holds_soak(folder: Path) -> bool:
    """Whether a folder holds a soak, finished or not."""
    return (folder / SOAK).is_file() or (folder / SAMPLES).is_file()


def read_soak(folder: Path) -> SoakFile:
    """Read the soak in a folder: its lines where they are there, else its summary.

    Raises:
        UsageError: If it cannot be read, or is something else.
    """
    path = folder / SAMPLES
    if path.is_file():
        return SoakRecord(_lines(path)).file()
    return from_json(read_bytes(folder / SOAK), SoakFile, str(folder / SOAK))


def line_schema() -> dict[str, Any]:
    """The JSON Schema of a line of soak.jsonl."""
    return lines_schema(KINDS, TAG)


@dataclass(frozen=True)
class _What:
    what: str = ""


def _lines(path: Path) -> list[Line]:
    found: list[Line] = []
    for number, text in enumerate(read_lines(path).whole, start=1):
        name = f"{path}, line {number}"
        kind = KINDS.get(from_json(text, _What, name).what)
        if kind is not None:  # a later release may have others
            found.append(from_json(text, kind, name))
    return found


def _kind(begun: SoakBegun) -> tuple[object, ...]:
    return begun.workload, begun.launcher.get("launcher")
