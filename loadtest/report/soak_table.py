"""What a soak found, for the terminal: a table of counts, one of trends, and sentences."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from loadtest.report.soak_wording import QUANTITIES, number, outcome, span, verdict
from loadtest.resilience.soak_result import Soak

GOOD = ("none", "shrinks", "settled")


def rich_soak(found: Sequence[Soak]) -> Iterator[RenderableType]:
    """Two tables, and the sentences on each server.

    Args:
        found: One for each server.
    """
    yield _requests(found)
    if any(one.trends for one in found):
        yield _trends(found)
    for one in found:
        yield f"{escape(one.label)}: {escape(' '.join(outcome(one)))}"


def _requests(found: Sequence[Soak]) -> Table:
    table = Table(title="Answers, each compared with the golden one", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for title in ("right", "wrong", "lost", "refused", "minutes", "p99, ms"):
        table.add_column(title, justify="right")
    for one in found:
        if totals := one.totals:
            bad = (totals.wrong, sum(totals.lost.values()), sum(totals.refused.values()))
            counts = [f"[red]{count:,}[/red]" if count else "0" for count in bad]
            times = [f"{totals.elapsed_s / 60:,.1f}", f"{totals.p99_ms:,.1f}" if one.finished else "-"]
            table.add_row(escape(one.label), f"{totals.right:,}", *counts, *times)
        else:
            table.add_row(escape(one.label), *["-"] * 6)
    return table


def _trends(found: Sequence[Soak]) -> Table:
    table = Table(title="Change per hour, with its 95 % interval", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("")
    table.add_column("per hour", justify="right", no_wrap=True)
    table.add_column("least told", justify="right")
    table.add_column("")
    for one in found:
        for name, trend in one.trends.items():
            style = "" if trend.told in GOOD else "yellow"
            cells = [span(trend.per_hour), number(trend.smallest_per_hour), verdict(trend)]
            label = escape(one.label) if name == next(iter(one.trends)) else ""
            table.add_row(label, QUANTITIES[name].name, *cells, style=style)
    return table
