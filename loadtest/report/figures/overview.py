"""The first picture: latency and ease of setup side by side."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.judge.intervals import NOT_KNOWN, Estimate
from loadtest.report.charting import bars
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, interval_cells, interval_columns
from loadtest.report.headline import tail
from loadtest.report.reading import Document, span
from loadtest.report.starts import start_times, told_as_ranges
from loadtest.report.supported_digits import supported


@dataclass(frozen=True)
class Measured:
    """One panel of the picture.

    Attributes:
        key: Of its data.
        title: With the unit.
        values: By server key.
        bounds: Keys of servers of which only a lower bound is known.
    """

    key: str
    title: str
    values: Mapping[str, Estimate]
    bounds: Collection[str] = ()


def figure(document: Document, *, counted: bool = True) -> Figure:
    """Bars with their intervals: response time and throughput, and beside them start time and lines to write.

    Args:
        document: The comparison, and the ease of setup where it was measured.
        counted: Whether to show the lines that a person writes, which are the same for every model.
    """
    comparison = document.comparison
    # What is the same over every wire format has no place beside bars for each of them.
    setup = document.setup if len(comparison.wires) == 1 else None
    names = comparison.names
    searched = {server.key: server.capacity.estimate_rps for server in comparison.servers if server.capacity}
    bounds = [one.key for one in comparison.servers if one.capacity and one.capacity.bounded_by_client]
    ceilings = {row.key: row.ceiling_rps for row in comparison.summary}
    rate = comparison.plan.common_rate_rps
    at = f" at {rate:,.0f} requests/s" if rate > 0 else ""
    percentile, times = tail(comparison)
    measures = [Measured("tail", f"{percentile} response time{at}, ms", times)]
    if setup:
        measures.append(Measured("start", "from start to the first correct answer, s", start_times(document)))
    measures.append(
        Measured("carried", "capacity, requests/s", searched, bounds)
        if searched
        else Measured("carried", "closed-loop ceiling, requests/s", ceilings)
    )
    to_count = setup if counted else None
    if to_count:
        written = {key: Estimate(one.written.lines, math.nan, math.nan) for key, one in to_count.servers.items()}
        measures.append(Measured("written", "lines that a person writes", written))
    return Figure(
        key="overview",
        title="Latency and ease of setup" if to_count else "Latency and start" if setup else "Latency",
        finding="The servers side by side, each value with its interval.",
        panels=[_panel(measured, names) for measured in measures],
        tables=[_table(measured, names) for measured in measures],
        note=_note(document, counted=to_count is not None),
    )


def _note(document: Document, *, counted: bool) -> str:
    ranges = "; of the start, the range" if told_as_ranges(document) else ""
    told = f"Bars begin at zero. Lines in them are 95 % intervals over the rounds{ranges}."
    if not counted:
        return told
    return f"{told} Counted are code, configuration, export and Dockerfile, without comments."


def _panel(measured: Measured, names: Mapping[str, str]) -> Panel:
    rows: list[dict[str, Any]] = []
    for server, label in names.items():
        value = measured.values.get(server, NOT_KNOWN)
        at_least = "at least " if server in measured.bounds else ""
        told = in_full = "not known"
        if value.known:
            exact = f"{value.value:,.0f}"
            told = at_least + (exact if measured.key == "written" else supported(value))
            in_full = at_least + (exact if measured.key == "written" else span(value, 2))
        rows.append(
            {
                "server": label,
                "value": value.value,
                "low": value.low,
                "high": value.high,
                "text": in_full,
                "caption": f"{label}: {told}",
            }
        )
    title = measured.title
    return Panel(f"overview-{measured.key}", title, bars(rows, measured.key, title, list(names.values())))


def _table(measured: Measured, names: Mapping[str, str]) -> Table:
    rows: list[list[Cell]] = [
        [label, *interval_cells(measured.values.get(server, NOT_KNOWN))] for server, label in names.items()
    ]
    return Table(measured.title, [Column("server"), *interval_columns("value", 3)], rows)
