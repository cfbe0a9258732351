"""``loadtest diff``: two results side by side."""

import math
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from loadtest.cli.common import stdout
from loadtest.cli.gate import report_folder
from loadtest.report.difference import Change, Difference, differences
from loadtest.report.reading import read_results, span

COLOURS = {"better": "green", "worse": "red", "tie": "dim", "unknown": "dim"}


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write diff.html, diff.md and diff.json into this folder.")
def diff(before: Path, after: Path, out: Path | None) -> None:
    """Say what changed from result BEFORE to result AFTER (result.json files, or their folders)."""
    old, new = read_results(before), read_results(after)
    found = differences(old, new)
    for one in found.comparisons:
        _tell(one, f"{before} → {after}" if len(found.comparisons) == 1 else one.name)
    for line in found.missing:
        stdout.print(f"- {line}", markup=False)
    if out is not None:
        # Imported here, since it loads the charting library.
        from loadtest.report.difference_page import write_changes

        with report_folder(out):
            page, _, _ = write_changes(found, old, new, out)
        stdout.print(f"written: {page}, and diff.md and diff.json beside it", markup=False)


def _tell(found: Difference, title: str) -> None:
    table = Table("server", "measure", title=escape(title), title_justify="left")
    for column in ("before", "after", "ratio (95 %)"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for change in found.changes:
        table.add_row(change.server, change.measure, *(escape(text) for text in _numbers(change)), _verdict(change))
    stdout.print(table)
    for line in found.missing:
        stdout.print(f"- {line}", markup=False)
    if found.conditions:
        stdout.print("The conditions differ, so a change need not be the server's:")
        for line in found.conditions:
            stdout.print(f"- {line}", markup=False)


def _numbers(change: Change) -> list[str]:
    sides = ["—" if math.isnan(value) else f"{value:,.3f}" for value in (change.before, change.after)]
    return [*sides, span(change.ratio, 3)]


def _verdict(change: Change) -> str:
    return f"[{COLOURS[change.verdict]}]{change.verdict}[/]"
