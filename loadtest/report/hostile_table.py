"""What servers made of hostile requests, as tables and lines for the terminal."""

import math
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from loadtest.resilience.hostile.request import ANSWERED, CLOSED, OUTCOMES, REFUSED, WAITED
from loadtest.resilience.hostile.result import Aftermath, HostileResult

GOOD = (REFUSED, ANSWERED, CLOSED, WAITED)
SHOWN = 40
"""Findings that are told of one server over one wire; the file that --json writes has all."""


def rich_hostile(result: HostileResult) -> Iterator[RenderableType]:
    """A table of outcomes by category, then what was found."""
    yield _table(result)
    whole = result.whole
    yield f"afterwards: golden answers {_rightly(whole)}, {_growth(whole)}"
    failures = result.failures
    for failure in failures[:SHOWN]:
        yield f"[red]FAILED[/red]  {escape(failure)}"
    if not result.own_code:
        yield from _told(result)
    elif not failures:
        yield "[green]every request ended as the rules of this project ask[/green]"
    if len(failures) > SHOWN:
        yield f"… and {len(failures) - SHOWN} more"


def _table(result: HostileResult) -> Table:
    present = [one for one in OUTCOMES if result.outcomes()[one]]
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title=f"{escape(result.label)} over {result.wire}", title_justify="left"
    )
    table.add_column("category")
    table.add_column("sent", justify="right")
    for outcome in present:
        table.add_column(outcome, justify="right", style="" if outcome in GOOD else "yellow")
    table.add_column("right after", justify="right")
    after = {one.after: one for one in result.categories}
    for category in dict.fromkeys(one.category for one in result.answers):
        found = result.outcomes(category)
        cells = [str(found[outcome] or "") for outcome in present]
        table.add_row(
            escape(category), str(found.total()), *cells, _rightly(after[category]) if category in after else ""
        )
    found = result.outcomes()
    table.add_row(
        "all", str(found.total()), *(str(found[one]) for one in present), _rightly(result.whole), style="bold"
    )
    return table


def _rightly(after: Aftermath) -> str:
    if after.right:
        return "yes"
    return "[red]never[/red]" if math.isnan(after.recovered_s) else f"[red]after {after.recovered_s:.0f} s[/red]"


def _growth(after: Aftermath) -> str:
    if math.isnan(after.memory_growth_mib):
        return "its memory and descriptors are not known here"
    descriptors = (
        "descriptors not known" if after.descriptor_growth is None else f"{after.descriptor_growth:+d} descriptors"
    )
    return f"{after.memory_growth_mib:+.0f} MiB of memory, {descriptors}"


def _told(result: HostileResult) -> Iterator[str]:
    """What a server that is no code of this project did otherwise: told, and held against nobody."""
    alike: dict[tuple[str, str, int, str], list[str]] = {}
    for one in result.broken:
        alike.setdefault((one.category, one.outcome, one.status, one.said[:80]), []).append(one.name)
    for (category, outcome, status, said), names in list(alike.items())[:SHOWN]:
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        code = f" {status}" if status >= 0 else ""
        yield escape(f"  {category}, {'; '.join(names[:2])}{more}: {outcome}{code} {said}".rstrip())
    if len(alike) > SHOWN:
        yield f"  … and {len(alike) - SHOWN} more"
