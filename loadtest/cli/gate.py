"""What `compare` and `report` share: thresholds that decide the exit code, and a folder that can be written to."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from loadtest.cli.common import stdout
from loadtest.errors import UsageError
from loadtest.judge.condition import Condition
from loadtest.machine.files import check_writable, write_whole
from loadtest.report.reading import Results
from loadtest.report.thresholds import check_thresholds, junit, read_thresholds


@dataclass(frozen=True)
class Gate:
    """Thresholds that were read and checked, and where their outcome goes.

    Attributes:
        thresholds: The thresholds.
        junit: File for the outcome as JUnit XML, or nothing.
    """

    thresholds: list[Condition]
    junit: Path | None

    @classmethod
    def read(
        cls,
        assertions: Sequence[str],
        assert_file: Path | None,
        junit_file: Path | None,
        compared: Mapping[str, Collection[str]],
        *,
        searched: bool,
    ) -> "Gate":
        """Read the options of `gate_options`, before anything is measured.

        Args:
            assertions: Of ``--assert``.
            assert_file: Of ``--assert-file``.
            junit_file: Of ``--junit``.
            compared: Keys of the servers that are compared, by the names of the comparisons.
            searched: Whether capacities are searched.

        Raises:
            UsageError: If a threshold cannot be read or kept, or a file cannot be used.
        """
        texts = list(assertions)
        if assert_file is not None:
            try:
                texts += assert_file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"cannot read {assert_file}: {error}") from error
        thresholds = read_thresholds(texts, compared, searched=searched)
        if junit_file is not None:
            if not thresholds:
                raise UsageError("--junit needs a threshold: add --assert or --assert-file")
            with report_folder(junit_file.absolute().parent):
                check_writable(junit_file)
        return cls(thresholds, junit_file)

    def passed(self, results: Results) -> bool:
        """Judge the comparisons, print each outcome and write the JUnit file.

        Returns:
            Whether all thresholds are kept.

        Raises:
            UsageError: If the JUnit file cannot be written.
        """
        outcomes = check_thresholds(self.thresholds, results)
        for outcome in outcomes:
            stdout.print(str(outcome), style="green" if outcome.passed else "red", markup=False)
        if self.junit is not None:
            write_whole(self.junit, junit(outcomes))
        return all(outcome.passed for outcome in outcomes)


def gate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `Gate.read` takes."""
    for option in (
        click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="Write the outcome as JUnit XML."),
        click.option(
            "--assert-file",
            type=click.Path(path_type=Path),
            help="File with one threshold per line; # begins a comment.",
        ),
        click.option(
            "--assert",
            "assertions",
            multiple=True,
            metavar="'[MODEL/]SERVER.METRIC<LIMIT'",
            help="Threshold such as 'flask_server.p99<20ms', or with several models 'imagenet/flask_server.p99<80ms'; "
            "exit code 1 where it is not kept. May be repeated.",
        ),
    ):
        command = option(command)
    return command


@contextlib.contextmanager
def report_folder(folder: Path) -> Iterator[None]:
    """Make the folder of a report, and turn what keeps it from being written into a usage error."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}; name another folder") from error
