"""What was tried out under fire, for the terminal: goodput as a table, the rest in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table

from loadtest.report.fire_wording import sentences
from loadtest.resilience.overload import Overload
from loadtest.resilience.resilience_file import Resilience


def rich_tables(found: Mapping[str, Resilience]) -> Iterator[RenderableType]:
    """The table of goodput, and the sentences on each server.

    Args:
        found: What was tried out, by the server's key.
    """
    overloaded = {one.label: one.overload for one in found.values() if one.overload}
    if overloaded:
        offered, lines = goodput_shares(list(overloaded.values()))
        title = "Answered in time, as a share of capacity, by the offered load"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("", no_wrap=True)
        for factor in offered:
            table.add_column(factor, justify="right")
        for label, shares in zip(overloaded, lines, strict=True):
            table.add_row(label, *shares)
        yield table
    for server in found.values():
        if told := sentences(server):
            yield f"{server.label}: {' '.join(told)}".replace("[", r"\[")


def goodput_shares(found: Sequence[Overload]) -> tuple[list[str], list[list[str]]]:
    """Goodput as a share of the capacity.

    Args:
        found: One for each server.

    Returns:
        The offered loads, as multiples of the capacity; and for each server a cell for each of them.
    """
    factors = sorted({level.factor for one in found for level in one.levels})
    shares = [{level.factor: f"{one.goodput_share(level):.2f}" for level in one.levels} for one in found]
    return [f"{factor:g}x" for factor in factors], [[one.get(factor, "-") for factor in factors] for one in shares]
