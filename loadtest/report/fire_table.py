"""What was tried out under fire, for the terminal: goodput as a table, the rest in sentences."""

from collections.abc import Iterator, Mapping

from rich import box
from rich.console import RenderableType
from rich.table import Table

from loadtest.report.fire_wording import sentences
from loadtest.resilience.resilience_file import Resilience


def rich_tables(found: Mapping[str, Resilience]) -> Iterator[RenderableType]:
    """The table of goodput, and the sentences on each server.

    Args:
        found: What was tried out, by the server's key.
    """
    overloaded = {one.label: one.overload for one in found.values() if one.overload}
    if overloaded:
        factors = sorted({level.factor for one in overloaded.values() for level in one.levels})
        title = "Answered in time, as a share of capacity, by the offered load"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("", no_wrap=True)
        for factor in factors:
            table.add_column(f"{factor:g}x", justify="right")
        for label, one in overloaded.items():
            shares = {level.factor: f"{one.goodput_share(level):.2f}" for level in one.levels}
            table.add_row(label, *(shares.get(factor, "-") for factor in factors))
        yield table
    for server in found.values():
        if told := sentences(server):
            yield f"{server.label}: {' '.join(told)}".replace("[", r"\[")
