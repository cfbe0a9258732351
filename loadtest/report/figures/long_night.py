"""A long night: memory and p99 over the time of a soak, and the trends as tables."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from loadtest.report.charting import Canvas, LogAxis, colour
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, interval_cells, interval_columns, server_signs
from loadtest.report.soak_wording import outcome, trend_sentence, verdict
from loadtest.resilience.soak_result import MEMORY, SETTLING, Soak, memory_mib, settled

DRAWN = 400
"""Samples of a server that a chart shows; of more, every second, third and so on."""

MEMORY_MIB, P99_MS = "memory", "p99"
MEMORY_TITLE = f"Memory, MiB more than after the first {SETTLING:.0%} of the time"


def figure(found: Sequence[Soak]) -> Figure:
    """The section's figure.

    Args:
        found: One for each server.
    """
    labels = [one.label for one in found]
    rows = _rows(found)
    memory = [row for row in rows if math.isfinite(row[MEMORY_MIB])]
    tail = [row for row in rows if math.isfinite(row[P99_MS])]
    panels = []
    if memory:
        y = {"axis": alt.Axis(title=None, format="+,~r"), "scale": alt.Scale(zero=False)}
        panels.append(Panel("night-memory", MEMORY_TITLE, _chart(memory, MEMORY_MIB, y, "MiB more", labels)))
    if tail:
        log = LogAxis.around([row[P99_MS] for row in tail])
        y = {"axis": log.axis(), "scale": log.scale()}
        panels.append(Panel("night-p99", "p99 of each stretch, ms", _chart(tail, P99_MS, y, "p99, ms", labels)))
    return Figure(
        key="long_night",
        title="Memory and p99 over the time",
        finding=" ".join(f"{one.label}: {_finding(one)}" for one in found),
        panels=panels,
        tables=tables(found),
        legend=server_signs(labels) if panels else (),
        note=(
            "Every answer was compared with the golden one. Memory is what no file backs, of all processes of the "
            "server; a page that they share counts once. Slopes are by least squares without the first "
            f"{SETTLING:.0%} of the time, and their 95 % intervals hold for samples that depend on each other. The "
            "smallest slope is the one that would have been told from zero in four of five such soaks."
        ),
    )


def tables(found: Sequence[Soak]) -> list[Table]:
    """What became of the requests, and the trends."""
    return [table for table in (_requests(found), _trends(found)) if table.rows]


def _finding(one: Soak) -> str:
    """What became of the requests, and of the memory."""
    told = outcome(one)[0]
    return f"{told} {trend_sentence(MEMORY, one.trends[MEMORY])}" if MEMORY in one.trends else told


def _rows(found: Sequence[Soak]) -> list[dict[str, Any]]:
    """Of each server, its memory as the difference to what it was when the beginning was over, and p99."""
    rows = []
    for one in found:
        start_mib = memory_mib(settled(one.samples)[0]) if one.samples else math.nan
        rows += [
            {
                "server": one.label,
                "minutes": sample.at_s / 60,
                "requests": sample.right,
                MEMORY_MIB: memory_mib(sample) - start_mib,
                P99_MS: sample.p99_ms,
            }
            for sample in one.samples[:: 1 + len(one.samples) // DRAWN]
        ]
    return rows


def _chart(rows: list[dict[str, Any]], name: str, y: dict[str, Any], title: str, labels: list[str]) -> dict[str, Any]:
    last = max(row["minutes"] for row in rows)
    axis = alt.Axis(title="minutes", tickCount=6)
    canvas = Canvas()
    base = canvas.chart(rows, name).encode(
        x=alt.X("minutes:Q", scale=alt.Scale(domain=[0, last], nice=False), axis=axis),
        y=alt.Y(f"{name}:Q", **y),
        color=colour("server", labels),
    )
    tooltip = [
        alt.Tooltip("server:N", title="server"),
        alt.Tooltip("minutes:Q", title="minutes", format=",.1f"),
        alt.Tooltip("requests:Q", title="right answers", format=","),
        alt.Tooltip(f"{name}:Q", title=title, format=",.2f"),
    ]
    hover = base.mark_point(size=120, filled=True, opacity=0).encode(tooltip=tooltip)
    return canvas.spec([base.mark_line(strokeWidth=1.5), hover], 260)


def _requests(found: Sequence[Soak]) -> Table:
    columns = [
        Column("server"),
        Column("right", 0),
        Column("wrong", 0),
        Column("lost", 0),
        Column("refused", 0),
        Column("minutes", 1),
        Column("right/s", 0),
        Column("p50, ms", 2),
        Column("p99, ms", 2),
        *interval_columns("p99, last third over first", 3),
        Column("memory, MiB", 1),
        Column("soaked"),
    ]
    rows: list[list[Cell]] = [
        [
            one.label,
            one.totals.right,
            one.totals.wrong,
            sum(one.totals.lost.values()),
            sum(one.totals.refused.values()),
            one.totals.elapsed_s / 60,
            one.totals.right / one.totals.elapsed_s,
            one.totals.p50_ms,
            one.totals.p99_ms,
            *interval_cells(one.p99_ratio),
            one.samples[-1].resident_mib if one.samples else None,
            "to the end" if one.finished else "cut short",
        ]
        for one in found
        if one.totals
    ]
    return Table("Requests of the soak", columns, rows)


def _trends(found: Sequence[Soak]) -> Table:
    columns = [
        Column("server"),
        Column("quantity"),
        Column("mean", 2),
        *interval_columns("change per hour", 3),
        *interval_columns("per million requests", 3),
        Column("smallest that could be told, per hour", 3),
        Column("verdict"),
    ]
    rows: list[list[Cell]] = [
        [
            one.label,
            name,
            trend.mean,
            *interval_cells(trend.per_hour),
            *interval_cells(trend.per_million),
            trend.smallest_per_hour,
            verdict(trend),
        ]
        for one in found
        for name, trend in one.trends.items()
    ]
    return Table("What grew", columns, rows)
