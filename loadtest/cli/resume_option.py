"""``compare --resume DIR``: the options of a comparison that was ended, in place of those that are not given."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from loadtest.cli.common import stdout
from loadtest.cli.sitting import Asked, Sitting, opened
from loadtest.errors import UsageError
from loadtest.judge.runs_record import RunsRecord
from loadtest.machine.journal import Journal

FREE = ("show", "assertions", "assert_file", "junit_file", "any_port", "start_timeout")
"""Options that decide nothing of what is measured: they may be others than before."""


@dataclass(frozen=True)
class Earlier:
    """A comparison to go on with.

    Attributes:
        folder: Its folder.
        journal: Its runs.jsonl.
        record: What that holds.
    """

    folder: Path
    journal: Journal
    record: RunsRecord


@dataclass(frozen=True)
class Origin:
    """Where a comparison comes from: from its options, or from an earlier sitting.

    Attributes:
        options: The options, as runs.jsonl holds them.
        earlier: The earlier sitting, where there is one.
    """

    options: dict[str, Any]
    earlier: Earlier | None = None

    def sitting(self, out: Path | None, asked: Asked) -> Sitting:
        """Begin it in a folder, or go on with it in its own.

        Raises:
            UsageError: If the folder cannot be written to, or what would be measured is not comparable.
        """
        if self.earlier is None:
            return Sitting.begin(out, asked.header(self.options))
        return Sitting.go_on(self.earlier.folder, self.earlier.journal, self.earlier.record, asked)


def resume_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--resume``; the command gets an `Origin` in its argument ``origin``. Stands above all other options."""

    @functools.wraps(command)
    def resumed(*arguments: Any, resume: Path | None, **options: Any) -> Any:
        stored = {name: _stored(value) for name, value in options.items()}
        if resume is None:
            return command(*arguments, origin=Origin(stored), **options)
        context = click.get_current_context()
        journal, record = opened(resume)
        context.call_on_close(journal.close)
        before = record.header.options
        _refuse_contradictions(context, resume, stored, before)
        if record.finished:
            stdout.print(
                f"{resume} is finished, nothing is left to measure: loadtest report {resume}",
                soft_wrap=True,
                markup=False,
            )
            return None
        kept = {name: value for name, value in _restored(context, before).items() if name not in _given(context)}
        return command(*arguments, origin=Origin(before, Earlier(resume, journal, record)), **options | kept)

    option = click.option(
        "--resume",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Go on with the comparison in this folder where it was ended, with the options that it was begun with.",
    )
    return option(resumed)


def _given(context: click.Context) -> list[str]:
    """The options that were given, on the command line or in the environment."""
    sources = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    return [name for name in context.params if context.get_parameter_source(name) in sources]


def _stored(value: object) -> object:
    """A value as runs.jsonl holds it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _restored(context: click.Context, before: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the earlier sitting that there still are, as a command takes them."""
    parameters = {one.name: one for one in context.command.params}
    return {
        name: Path(value) if value is not None and isinstance(parameters[name].type, click.Path) else value
        for name, value in before.items()
        if name in parameters
    }


def _refuse_contradictions(
    context: click.Context, folder: Path, now: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    wrong = [name for name in _given(context) if name not in FREE and name in before and now.get(name) != before[name]]
    if not wrong:
        return
    parameters = {one.name: one for one in context.command.params if isinstance(one, click.Option)}
    told = [
        f"{_words(parameters[name], now[name])} (it was begun {_begun(parameters[name], before[name])})"
        for name in wrong
    ]
    raise UsageError(f"{', '.join(told)} contradicts the comparison in {folder}: leave it out, or begin a new one")


def _begun(option: click.Option, value: Any) -> str:
    absent = value is None or value == "" or (value is False and not option.secondary_opts)
    return f"without {option.opts[0]}" if absent else f"with {_words(option, value)}"


def _words(option: click.Option, value: Any) -> str:
    """An option and its value as a person types them."""
    if option.is_flag:
        return option.opts[0] if value or not option.secondary_opts else option.secondary_opts[0]
    return f"{option.opts[0]} {','.join(map(str, value)) if isinstance(value, list) else value}"
