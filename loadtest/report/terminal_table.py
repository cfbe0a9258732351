"""The comparison as a table for a terminal: it fits 80 columns, and no number is broken over two lines."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import Estimate
from loadtest.judge.summary import SummaryRow
from loadtest.report.reading import FAILED

SERVERS_ABREAST = 4
"""More servers than these are shown in further tables."""

TO = "\N{EN DASH}"
AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"


@dataclass(frozen=True)
class TerminalRow:
    """A line of the table.

    Attributes:
        title: With its unit.
        name: Of the summary's column.
        digits: Decimals.
    """

    title: str
    name: str
    digits: int


ROWS = (
    TerminalRow("p50, ms", "p50_ms", 2),
    TerminalRow("p95, ms", "p95_ms", 2),
    TerminalRow("p99, ms", "p99_ms", 2),
    TerminalRow("answered per s", "throughput_rps", 0),
    TerminalRow("ceiling per s", "ceiling_rps", 0),
    TerminalRow("CPU s per 1,000", "cpu_s_per_1000_at_ceiling", 2),
    TerminalRow("memory, MiB", "peak_mib", 0),
    TerminalRow("start, s", "first_prediction_s", 1),
)


def terminal_tables(result: ComparisonResult) -> Iterator[Table]:
    """A column for each server; under each value stands its 95 % interval."""
    labels = result.names
    capacities = {server.key: server.capacity for server in result.servers if server.capacity}
    for first in range(0, len(result.summary), SERVERS_ABREAST):
        yield _table(result.summary[first : first + SERVERS_ABREAST], labels, capacities)


def _table(rows: Sequence[SummaryRow], labels: dict[str, str], capacities: Mapping[str, Capacity]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_column(escape(labels[row.key]), justify="right", min_width=11)
    for line in ROWS:
        estimates: list[Estimate] = [getattr(row, line.name) for row in rows]
        table.add_row(line.title, *(_cell(estimate, line.digits) for estimate in estimates))
    if capacities:
        found = [capacities.get(row.key) for row in rows]
        table.add_row("capacity per s", *map(_capacity, found))
    table.add_row("failed requests", *(f"{row.failed:,}\n[dim]of {row.requests:,}[/]" for row in rows))
    return table


def _capacity(found: Capacity | None) -> str:
    """A capacity that the client bounds is told as the lower bound that it is."""
    if found is None or not found.estimate_rps.known:
        return "—"
    return (AT_LEAST if found.bounded_by_client else "") + _cell(found.estimate_rps, 0)


def _cell(estimate: Estimate, digits: int) -> str:
    if not estimate.known:
        return "—"
    if estimate.value == math.inf:
        return FAILED
    value = f"{estimate.value:,.{digits}f}"
    if math.isnan(estimate.low):
        return value
    return f"{value}\n[dim]{estimate.low:,.{digits}f}{TO}{estimate.high:,.{digits}f}[/]"
