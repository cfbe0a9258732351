"""Two comparisons side by side: each measure's ratio of after to before."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.report.charting import BAR_STEP, Canvas, LogAxis, captions, is_nan, named_rows
from loadtest.report.difference import Change, Difference
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, interval_cells, interval_columns
from loadtest.report.theme import colours, role

UNITS = {
    "p50": "response time p50, ms",
    "p99": "response time p99, ms",
    "ceiling": "closed-loop ceiling, requests/s",
    "cpu": "CPU seconds per 1,000 at the ceiling",
}


def finding(found: Difference, labels: dict[str, str]) -> str:
    """What got better, worse or stayed: one sentence each."""
    told = []
    for verdict in ("worse", "better"):
        those = [change for change in found.changes if change.verdict == verdict]
        if those:
            listed = "; ".join(f"{labels[change.server]} {change.measure} {_times(change)}" for change in those)
            told.append(f"{verdict.capitalize()}: {listed}.")
    for verdict, words in (("tie", "A tie"), ("unknown", "Not known, for want of three valid rounds on both sides")):
        by_server: dict[str, list[str]] = {}
        for change in found.changes:
            if change.verdict == verdict:
                by_server.setdefault(labels[change.server], []).append(change.measure)
        if by_server:
            listed = "; ".join(f"{label} {', '.join(measures)}" for label, measures in by_server.items())
            told.append(f"{words}: {listed}.")
    return " ".join(told) or "No server stands in both results."


def figure(found: Difference, after: ComparisonResult, prefix: str = "") -> Figure:
    """Ratios with their intervals, a panel per server.

    Args:
        found: What changed.
        after: The second comparison.
        prefix: Of the figure's keys, where a page has several.
    """
    labels = after.names
    every = [value for one in found.changes for value in (one.ratio.value, one.ratio.low, one.ratio.high)]
    axis = LogAxis.around([0.8, 1.25, *(value for value in every if not is_nan(value))], margin=1.05)
    panels: list[Panel] = []
    for (key, label), colour in zip(labels.items(), colours(len(labels)), strict=True):
        changes = [change for change in found.changes if change.server == key]
        if changes:
            title = f"{label}: after divided by before"
            panels.append(Panel(f"changes-{len(panels)}", title, _spec(changes, axis, colour)))
    return Figure(
        key="changes",
        title="Ratio of each measure",
        finding=finding(found, labels),
        panels=panels,
        tables=[table(found, labels)],
        note="A line is the 95 % interval of the ratio, the rounds of the two results not paired. Where it "
        "spans 1 the change is a tie. Less is better, except for the ceiling.",
    ).under(prefix)


def table(found: Difference, labels: dict[str, str]) -> Table:
    """Every change, with its numbers."""
    columns = [Column("server"), Column("measure"), Column("before", 3), Column("after", 3)]
    columns += [*interval_columns("ratio", 3), Column("verdict")]
    rows: list[list[Cell]] = [
        [
            labels[change.server],
            UNITS[change.measure],
            change.before,
            change.after,
            *interval_cells(change.ratio),
            change.verdict,
        ]
        for change in found.changes
    ]
    return Table("Every measure of the servers that stand in both results", columns, rows)


def _spec(changes: Sequence[Change], axis: LogAxis, colour: str) -> dict[str, Any]:
    rows = [
        {
            "server": change.measure,
            "ratio": change.ratio.value,
            "low": axis.within(change.ratio.low),
            "high": axis.within(change.ratio.high),
            "text": _times(change),
            "caption": f"{change.measure}: {change.verdict}"
            + ("" if change.verdict == "unknown" else f", {_times(change)}"),
        }
        for change in changes
    ]
    canvas = Canvas()
    base = canvas.chart(rows, "changes").encode(y=named_rows([change.measure for change in changes]))
    ratio = alt.X("ratio:Q", scale=axis.scale(), axis=axis.axis())
    low = alt.X("low:Q", scale=axis.scale(), title=None)
    tooltip = [alt.Tooltip("server:N", title="measure"), alt.Tooltip("text:N", title="after / before")]
    same = canvas.chart([{"one": 1}], "same").mark_rule(color=role("muted"), strokeDash=[5, 4])
    return canvas.spec(
        [
            same.encode(x=alt.X("one:Q", scale=axis.scale(), title=None)),
            base.mark_rule(color=colour, strokeWidth=2.5, yOffset=9, clip=True).encode(x=low, x2="high:Q"),
            base.mark_point(color=colour, size=90, filled=True, opacity=1, yOffset=9).encode(x=ratio, tooltip=tooltip),
            *captions(base),
        ],
        BAR_STEP * len(changes),
    )


def _times(change: Change) -> str:
    ratio = change.ratio
    return f"{ratio.value:,.2f} times [{ratio.low:,.2f} to {ratio.high:,.2f}]" if not is_nan(ratio.low) else "—"
