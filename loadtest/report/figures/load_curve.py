"""Latency against offered load, and the capacity under the objective."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import OVERLOAD
from loadtest.judge.intervals import Estimate, percentile_estimate
from loadtest.judge.ranked import RoundTimes, together
from loadtest.judge.run_result import RunResult
from loadtest.report.charting import Canvas, LogAxis, colour, shape
from loadtest.report.figure import Column, Figure, Panel, Table, interval_cells, interval_columns, server_signs
from loadtest.report.reading import span
from loadtest.report.theme import role

PERCENTS = (50.0, 99.0)


@dataclass(frozen=True)
class Point:
    """A server's response time at one offered rate.

    Attributes:
        key: Server key.
        rate: Offered rate, requests per second.
        percent: Which percentile.
        response: In milliseconds, with its interval over the rounds.
        runs: Valid runs it is made from.
        overloaded: In how many of them the queue grew.
    """

    key: str
    rate: float
    percent: float
    response: Estimate
    runs: int
    overloaded: int


def points(result: ComparisonResult) -> list[Point]:
    """Every offered rate of every server, lowest first; from valid runs only."""
    found = []
    for server in result.servers:
        by_rate: dict[float, list[RunResult]] = defaultdict(list)
        of_rounds: dict[float, dict[int, list[RoundTimes]]] = defaultdict(lambda: defaultdict(list))
        for one in server.rounds:
            for run in (one.open_loop, *one.curve):
                if run.verdict.valid:
                    by_rate[run.run.rate].append(run)
                    of_rounds[run.run.rate][one.number].append(run.response_times)
        for rate, valid in sorted(by_rate.items()):
            # Two runs of a round at one rate are one round and not two.
            times = [together(found) for found in of_rounds[rate].values()]
            overloaded = sum(any(finding.code in OVERLOAD for finding in run.verdict.findings) for run in valid)
            for percent in percents(result):
                response = percentile_estimate(times, percent)
                found.append(Point(server.key, rate, percent, response, len(valid), overloaded))
    return found


def percents(result: ComparisonResult) -> list[float]:
    """The percentiles that are drawn: the usual ones and that of the objective."""
    objectives = {server.capacity.percent for server in result.servers if server.capacity}
    return sorted({*PERCENTS, *objectives})


def figure(result: ComparisonResult) -> Figure:
    """Response time over offered rate, one panel per percentile."""
    labels = result.names
    measured = points(result)
    limits = {server.capacity.percent: server.capacity for server in result.servers if server.capacity}
    return Figure(
        key="load",
        title="Latency against offered load",
        finding=_finding(result),
        panels=[_panel(percent, measured, limits.get(percent), result) for percent in percents(result)],
        tables=[_table(measured, labels), *_capacity_tables(result, labels)],
        legend=server_signs(list(labels.values())),
        note="Each point is the geometric mean of the valid rounds at that rate; it is hollow where the queue grew in "
        "one of them, so that a longer run would show more. A band is the 95 % interval over the rounds; it is missing "
        "where fewer than three are valid. Response time runs from the intended send."
        + (" A diamond on the dashed line is the capacity found, with its interval." if limits else ""),
    )


def _panel(percent: float, measured: Sequence[Point], limit: Capacity | None, result: ComparisonResult) -> Panel:
    labels = result.names
    order = list(labels.values())
    here = [point for point in measured if point.percent == percent and point.response.known]
    capacities = _capacities(result, labels)
    y = LogAxis.around([p.response.value for p in here] + ([limit.limit_ms] if limit else []), margin=1.4)
    x = LogAxis.around([p.rate for p in measured] + [row["rate"] for row in capacities], margin=1.1)
    rows = [
        {
            "server": labels[point.key],
            "rate": point.rate,
            "ms": point.response.value,
            "low": y.within(point.response.low),
            "high": y.within(point.response.high),
            "runs": point.runs,
            "text": span(point.response, 2, " ms"),
            "queue": "grew: overload" if point.overloaded else "kept up",
        }
        for point in here
    ]
    canvas = Canvas()
    base = canvas.chart(rows, f"load_p{percent:g}").encode(
        x=alt.X("rate:Q", scale=x.scale(), axis=x.axis("offered load, requests per second")),
        color=colour("server", order),
    )
    ms = alt.Y("ms:Q", scale=y.scale(), axis=y.axis())
    tooltip = [
        alt.Tooltip("server:N", title="server"),
        alt.Tooltip("rate:Q", title="offered, requests/s", format=",.4~r"),
        alt.Tooltip("text:N", title=f"p{percent:g}"),
        alt.Tooltip("runs:Q", title="valid runs"),
        alt.Tooltip("queue:N", title="queue"),
    ]
    overloaded = alt.FieldEqualPredicate(field="queue", equal="grew: overload")
    mark = base.mark_point(size=55, strokeWidth=2, opacity=1).encode(
        y=ms,
        shape=shape("server", order),
        fill=alt.when(overloaded).then(alt.value(role("ground"))).otherwise(colour("server", order)),
    )
    band = base.mark_area(opacity=0.16, clip=True).encode(y=alt.Y("low:Q", scale=y.scale(), title=None), y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(y=ms)
    hover = base.mark_point(size=400, filled=True, opacity=0).encode(y=ms, tooltip=tooltip)
    objective = _objective(canvas, limit, capacities, x, y, order) if limit else []
    title = f"p{percent:g} response time, ms" + (f" (dashed: {limit.objective})" if limit else "")
    layers = [band, line, mark, *objective, hover]
    return Panel(f"load-p{percent:g}", title, canvas.spec(layers, 280))


def _objective(
    canvas: Canvas, limit: Capacity, capacities: list[dict[str, Any]], x: LogAxis, y: LogAxis, order: list[str]
) -> list[alt.Chart]:
    """The objective as a dashed line, with the capacities on it."""
    ms = alt.Y("limit:Q", scale=y.scale())
    line = canvas.chart([{"limit": limit.limit_ms}], "objective")
    across = line.mark_rule(strokeDash=[5, 4], strokeWidth=1.5, color=role("limit")).encode(y=ms)
    rows = [row | {"low": x.within(row["low"]), "high": x.within(row["high"])} for row in capacities]
    found = canvas.chart(rows, "capacities").encode(y=ms, color=colour("server", order, legend=False))
    interval = found.mark_rule(strokeWidth=5, opacity=0.5, clip=True).encode(
        x=alt.X("low:Q", scale=x.scale()), x2="high:Q"
    )
    diamond = found.mark_point(shape="diamond", size=150, filled=True, opacity=1).encode(
        x=alt.X("rate:Q", scale=x.scale()),
        tooltip=[
            alt.Tooltip("server:N", title="server"),
            alt.Tooltip("text:N", title=f"capacity, {limit.objective}"),
        ],
    )
    return [interval, across, diamond]


def _capacities(result: ComparisonResult, labels: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for server in result.servers:
        found = server.capacity
        if found and found.estimate_rps.known and found.estimate_rps.value > 0:
            value = found.estimate_rps
            at_least = "at least " if found.bounded_by_client else ""
            rows.append(
                {
                    "server": labels[server.key],
                    "rate": value.value,
                    "low": value.low,
                    "high": value.high,
                    "limit": found.limit_ms,
                    "text": f"{at_least}{span(value, 0)} requests/s",
                }
            )
    return rows


def _table(measured: Sequence[Point], labels: dict[str, str]) -> Table:
    columns = [Column("server"), Column("offered, requests/s", 0), Column("percentile")]
    columns += [*interval_columns("response time, ms", 3), Column("valid runs", 0), Column("of them overloaded", 0)]
    rows = [
        [
            labels[point.key],
            point.rate,
            f"p{point.percent:g}",
            *interval_cells(point.response),
            point.runs,
            point.overloaded,
        ]
        for point in measured
    ]
    return Table("Response time at each offered rate", columns, rows)


def _capacity_tables(result: ComparisonResult, labels: dict[str, str]) -> list[Table]:
    searched = [(server.key, server.capacity) for server in result.servers if server.capacity]
    if not searched:
        return []
    columns = [Column("server"), Column("objective"), *interval_columns("capacity, requests/s", 0)]
    columns += [Column("searches", 0), Column("limited by")]
    rows = [
        [
            labels[key],
            found.objective,
            *interval_cells(found.estimate_rps),
            len(found.searches),
            "the client or the host: at least this much" if found.bounded_by_client else "the server",
        ]
        for key, found in searched
    ]
    return [Table("Capacity", columns, rows)]


def _finding(result: ComparisonResult) -> str:
    labels = result.names
    capacities = sorted(_capacities(result, labels), key=lambda row: -row["rate"])
    searched = [server.capacity for server in result.servers if server.capacity]
    if not searched:
        return "No capacity was searched (compare --slo 'p99<50ms' does): this is latency at the rates measured only."
    if not capacities:
        return f"No server was found to meet {searched[0].objective} at any rate that was tried."
    listed = "; ".join(f"{row['server']} {row['text']}" for row in capacities)
    return f"The highest rate that meets {searched[0].objective}: {listed}."
