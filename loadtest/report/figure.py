"""A figure: charts, the finding they show in words, and the numbers behind them as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loadtest.judge.intervals import Estimate
from loadtest.report.reading import FAILED
from loadtest.report.theme import colours, shapes

Cell = str | float | None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: With its unit.
        digits: Decimals of its numbers; None for text.
        priced: Whether its numbers are core-seconds per million predictions, to be shown as money at a price.
    """

    title: str
    digits: int | None = None
    priced: bool = False

    def text(self, cell: Cell) -> str:
        """The cell as it is printed: a dash for what is not known, and ``failed`` for what is infinite."""
        if isinstance(cell, str):
            return cell
        if cell == math.inf:
            return FAILED
        if cell is None or not math.isfinite(cell):
            return "—"
        return f"{cell:,.{self.digits or 0}f}"


@dataclass(frozen=True)
class Table:
    """Numbers, as they were measured.

    Attributes:
        title: What they are.
        columns: Their columns.
        rows: A cell for each column; None and NaN for what is not known.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    @property
    def texts(self) -> list[list[str]]:
        """The cells as they are printed, row by row."""
        return [[column.text(cell) for column, cell in zip(self.columns, row, strict=True)] for row in self.rows]


def interval_columns(title: str, digits: int) -> list[Column]:
    """Columns of a value and the ends of its interval."""
    return [Column(title, digits), Column("95 % from", digits), Column("to", digits)]


def interval_cells(value: Estimate) -> list[Cell]:
    """The cells of `interval_columns`."""
    return [value.value, value.low, value.high]


@dataclass(frozen=True)
class Panel:
    """One chart of a figure.

    Attributes:
        key: Name, unique on a page.
        title: What its y axis shows, with the unit.
        spec: Vega-Lite specification.
        wide: Whether it takes the whole width of the page.
    """

    key: str
    title: str
    spec: dict[str, Any]
    wide: bool = False


@dataclass(frozen=True)
class Sign:
    """A line of a legend: a server's colour and shape, or a shade that means a part.

    Attributes:
        label: What it stands for.
        colour: CSS colour.
        shape: Vega symbol, or ``bar``.
        opacity: Of the fill.
    """

    label: str
    colour: str
    shape: str
    opacity: float = 1.0


def server_signs(labels: Sequence[str]) -> list[Sign]:
    """A legend of the servers."""
    count = len(labels)
    return [Sign(*parts) for parts in zip(labels, colours(count), shapes(count), strict=True)]


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        key: Name, unique on a page.
        title: Short.
        finding: What it shows, in one or two sentences: the text alternative of its charts.
        panels: Its charts.
        tables: The numbers behind them.
        legend: What the colours mean.
        note: How to read it, where that is not plain.
    """

    key: str
    title: str
    finding: str
    panels: Sequence[Panel]
    tables: Sequence[Table]
    legend: Sequence[Sign] = ()
    note: str = ""

    def under(self, prefix: str) -> "Figure":
        """The same figure with a prefix to its keys, for a page that has several of the kind."""
        panels = [replace(panel, key=f"{prefix}{panel.key}") for panel in self.panels]
        return replace(self, key=f"{prefix}{self.key}", panels=panels)
