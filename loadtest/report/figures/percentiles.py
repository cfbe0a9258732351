"""The whole distribution at the common rate, drawn as HdrHistogram's tools do."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.ranked import RoundTimes, ranked_percentiles, together
from loadtest.judge.samples import furthest
from loadtest.report.charting import Canvas, LogAxis, colour
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, server_signs

STEPS_PER_DECADE = 24
LISTED = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99)


def curve(whole: RoundTimes) -> list[tuple[float, float]]:
    """Percent and milliseconds, evenly spaced on the scale of 1 / (1 - p), as far as the samples carry it."""
    end = furthest(whole.requests)
    if math.isnan(end):
        return []
    decades = -math.log10(1 - end / 100)
    stretch = np.logspace(0, decades, max(2, round(decades * STEPS_PER_DECADE)))
    percents = [float(100 * (1 - 1 / one)) for one in stretch]
    values = ranked_percentiles(whole.answers, whole.failed, percents)
    return [(percent, ns / 1e6) for percent, ns in zip(percents, values, strict=True) if math.isfinite(ns)]


def figure(result: ComparisonResult) -> Figure:
    """Response time over percentile; each round thin, all rounds of a server together thick."""
    labels = result.names
    order = list(labels.values())
    rounds = {
        server.key: [(one.number, one.open_loop.response_times) for one in server.valid_rounds]
        for server in result.servers
    }
    wholes = {key: together([one for _, one in found]) for key, found in rounds.items()}
    thick = [row for key, whole in wholes.items() for row in _rows(labels[key], "all rounds", whole)]
    thin = [
        row
        for key, found in rounds.items()
        for number, one in found
        for row in _rows(labels[key], f"round {number}", one)
    ]
    rate = result.plan.common_rate_rps
    return Figure(
        key="percentiles",
        title="Percentiles of the response time",
        finding=_finding(wholes, labels, rate),
        panels=[Panel("percentiles-all", "response time, ms", _spec(thick, thin, order), wide=True)],
        tables=[_table(wholes, labels)],
        legend=server_signs(order),
        note="The scale to the right is one of ever rarer requests: each step from 90 % to 99 % to 99.9 % is ten times "
        "rarer. A line ends at the percentile that its requests are just enough for (MLPerf's early stopping). "
        "Thin lines are single rounds.",
    )


def _rows(server: str, which: str, whole: RoundTimes) -> list[dict[str, Any]]:
    return [
        {"server": server, "round": which, "rarity": 1 / (1 - percent / 100), "percent": percent, "ms": ms}
        for percent, ms in curve(whole)
    ]


def _spec(thick: Sequence[dict[str, Any]], thin: Sequence[dict[str, Any]], order: list[str]) -> Any:
    y = LogAxis.around([row["ms"] for row in (*thick, *thin)], margin=1.2)
    furthest = max([row["rarity"] for row in thick], default=100.0)
    marks = [tick for tick in (2, 10, 100, 1_000, 10_000, 100_000) if tick <= furthest]
    x = alt.X(
        "rarity:Q",
        scale=alt.Scale(type="log", domain=[1, furthest * 1.05], nice=False),
        axis=alt.Axis(title="percentile", values=marks, labelExpr="format(100 * (1 - 1 / datum.value), '.6~r') + ' %'"),
    )
    ms = alt.Y("ms:Q", scale=y.scale(), axis=y.axis())
    canvas = Canvas()
    by_server = colour("server", order)
    faint = canvas.chart(thin, "rounds").mark_line(strokeWidth=1, opacity=0.35)
    bold = canvas.chart(thick, "percentiles").encode(x=x, y=ms, color=by_server)
    tooltip = [
        alt.Tooltip("server:N", title="server"),
        alt.Tooltip("percent:Q", title="percentile", format=".3f"),
        alt.Tooltip("ms:Q", title="response time, ms", format=",.3f"),
    ]
    layers = [
        faint.encode(x=x, y=ms, color=by_server, detail="round:N"),
        bold.mark_line(strokeWidth=2.5),
        bold.mark_point(size=150, filled=True, opacity=0).encode(tooltip=tooltip),
    ]
    return canvas.spec(layers, 320)


def _table(wholes: dict[str, RoundTimes], labels: dict[str, str]) -> Table:
    columns = [Column("server"), Column("requests", 0)]
    columns += [Column(f"p{percent:g}, ms", 3) for percent in LISTED] + [Column("slowest, ms", 3)]
    rows: list[list[Cell]] = []
    for key, whole in wholes.items():
        if whole.answers.count:
            cells = whole.percentiles_ms(LISTED)
            rows.append([labels[key], whole.requests, *cells, whole.answers.max / 1e6])
    return Table("Percentiles at the common rate, all valid rounds together", columns, rows)


def _finding(wholes: dict[str, RoundTimes], labels: dict[str, str], rate: float) -> str:
    told = []
    for key, whole in wholes.items():
        values = dict(zip(LISTED, whole.percentiles_ms(LISTED), strict=True))
        carried = [percent for percent, value in values.items() if math.isfinite(value)]
        if carried:
            middle, far = values[carried[0]], values[carried[-1]]
            told.append(f"{labels[key]} from {middle:,.2f} ms at p50 to {far:,.2f} ms at p{carried[-1]:g}")
    if not told or math.isnan(rate):
        return "No valid run at the common rate."
    return f"At {rate:,.0f} requests/s the response time rises: {'; '.join(told)}."
