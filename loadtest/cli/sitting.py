"""The folder of a comparison while it is measured: what was measured is in runs.jsonl before it is in any number."""

import contextlib
import datetime
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.cli.common import stderr
from loadtest.errors import LoadtestError, UsageError
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.entries import Entry, Header, Resumed
from loadtest.judge.entry_lines import to_entry_line
from loadtest.judge.result_file import ResultFile
from loadtest.judge.runs_record import RunsRecord
from loadtest.judge.surroundings import Surroundings
from loadtest.machine.journal import Journal
from loadtest.records import to_line
from loadtest.report.reading import write_results
from loadtest.report.runs_file import RUNS, read_runs


@dataclass(frozen=True)
class Asked:
    """What is to be compared.

    Attributes:
        planned: Names of the comparisons.
        plans: One for each batch size, with tensors and with pictures.
        contenders: Their keys.
        setup: Whether the ease of setup is measured too.
        surroundings: Where and with what it is measured.
    """

    planned: list[str]
    plans: list[ComparisonPlan]
    contenders: list[str]
    setup: bool
    surroundings: Surroundings

    def is_as_in(self, header: Header) -> bool:
        """Whether it is what a comparison was begun with; as JSON, in which a rate that is not known equals another."""
        plans = [[to_line(plan) for plan in each] for each in (self.plans, header.plans)]
        return plans[0] == plans[1] and (self.planned, self.contenders) == (header.planned, header.contenders)

    def header(self, options: dict[str, object]) -> Header:
        """The first line of a new runs.jsonl."""
        return Header(
            _now(), sys.argv[1:], options, self.planned, self.plans, self.contenders, self.setup, self.surroundings
        )


class Sitting:
    """A comparison under way, in its folder; to be used in a ``with``, which ends the writing.

    Args:
        folder: The folder.
        journal: Its runs.jsonl.
        record: What that holds by now.

    Attributes:
        file: What result.json is made of.
    """

    def __init__(self, folder: Path, journal: Journal, record: RunsRecord) -> None:
        self.folder, self.record, self._journal = folder, record, journal
        self.file: ResultFile = record.result_file()

    @classmethod
    def begin(cls, out: Path | None, header: Header) -> "Sitting":
        """Begin a comparison, in a folder named after the time where none is given.

        What a folder holds of a comparison that was not finished is kept beside the new one.

        Raises:
            UsageError: If the folder cannot be written to, or is in use.
        """
        folder = _made(out)
        _set_aside(folder / RUNS)
        journal = Journal(folder / RUNS)
        with _closing_if_fails(journal):
            line = to_entry_line(header)
            journal.add(line)
            return cls(folder, journal, RunsRecord.read([line], str(journal.path)))

    @classmethod
    def go_on(cls, folder: Path, journal: Journal, record: RunsRecord, asked: Asked) -> "Sitting":
        """Go on with a comparison.

        Raises:
            UsageError: If what it would measure does not belong into one table with what was measured.
        """
        header = record.header
        apart = header.surroundings.apart(asked.surroundings)
        if not asked.is_as_in(header):
            apart.append("what its options stand for, by this release or with what is built here")
        if apart:
            raise UsageError(
                f"{folder} cannot be gone on with, since its numbers would not be comparable; changed were "
                f"{', '.join(apart)}: begin a new comparison"
            )
        changes = header.surroundings.changed(asked.surroundings)
        if changes:
            stderr.print(f"changed since it was begun: {', '.join(changes)}", soft_wrap=True, markup=False)
        resumed = Resumed(_now(), changes)
        journal.add(to_entry_line(resumed))
        record.take(resumed)
        record.lines += 1
        return cls(folder, journal, record)

    def keep(self, entry: Entry) -> None:
        """Put what was measured on the disk.

        Raises:
            StorageError: If it cannot be written.
        """
        self._journal.add(to_entry_line(entry))
        self.file.entries += 1

    def save(self) -> None:
        """Write result.json, the summary of what there is.

        Raises:
            UsageError: If it cannot be written.
        """
        write_results(self.file, self.folder)

    @contextlib.contextmanager
    def kept_when_ended(self) -> Iterator[None]:
        """However what follows ends, write the summary of what was measured, and say where it is."""
        try:
            yield
        except (KeyboardInterrupt, LoadtestError, OSError):
            if self.file.comparisons:
                with contextlib.suppress(UsageError):  # on a full disk runs.jsonl has it
                    self.save()
                stderr.print(
                    f"what was measured is kept: loadtest report {self.folder}; to go on: "
                    f"loadtest compare --resume {self.folder}",
                    soft_wrap=True,
                    markup=False,
                )
            raise

    def __enter__(self) -> "Sitting":
        return self

    def __exit__(self, *exc: object) -> None:
        self._journal.close()


def opened(folder: Path) -> tuple[Journal, RunsRecord]:
    """The runs.jsonl of a comparison that was ended, for nobody else to write to.

    Raises:
        UsageError: If there is none, or another process writes to it.
    """
    path = folder / RUNS
    if not path.is_file():
        raise UsageError(f"{folder} holds no {RUNS}: there is nothing to go on with")
    journal = Journal(path)
    with _closing_if_fails(journal):
        return journal, read_runs(path).record


@contextlib.contextmanager
def _closing_if_fails(journal: Journal) -> Iterator[None]:
    try:
        yield
    except BaseException:
        journal.close()
        raise


def _made(out: Path | None) -> Path:
    folder = out or _unused(Path("results"))
    try:
        folder.mkdir(parents=True, exist_ok=out is not None)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; name another folder with --out") from error
    return folder


def _unused(room: Path) -> Path:
    """A folder named after the time; clocks are set back, and two may begin in the same second."""
    name = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    names: Sequence[str] = [name, *(f"{name}-{number}" for number in range(2, 1_000))]
    return next((room / one for one in names if not (room / one).exists()), room / name)


def _set_aside(path: Path) -> None:
    """Keep what a comparison that was not finished has measured, under another name."""
    if not path.exists():
        return
    with Journal(path):  # nobody writes to it
        try:
            finished = read_runs(path).record.finished
        except UsageError:
            finished = False
        try:
            if finished:
                path.unlink()
                return
            number = next(number for number in range(1, 1_000_000) if not _aside(path, number).exists())
            path.rename(_aside(path, number))
        except OSError as error:
            raise UsageError(f"cannot write to {path.parent}: {error.strerror}; name another folder") from error
    stderr.print(
        f"{path.parent} held a comparison that was not finished: it is kept as {_aside(path, number).name}",
        soft_wrap=True,
        markup=False,
    )


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
