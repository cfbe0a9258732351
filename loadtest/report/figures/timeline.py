"""The time line of each round at the common rate, so that stalls are seen."""

import math
from dataclasses import asdict
from typing import Any

import altair as alt

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.server_result import ServerResult
from loadtest.report.charting import Canvas, LogAxis
from loadtest.report.figure import Cell, Column, Figure, Panel, Table
from loadtest.report.theme import colours

GAP_S = 0.5
EXTENT = 44
"""Room for the labels of a y axis, in pixels: the same above and below, so that the seconds line up."""

Window = dict[str, Any]


def windows(server: ServerResult) -> list[Window]:
    """The windows of a server's valid open-loop runs, each with its round."""
    return [
        {"round": one.number} | asdict(window)
        for one in server.rounds
        if one.open_loop.verdict.valid
        for window in one.open_loop.windows
    ]


def figure(result: ComparisonResult) -> Figure:
    """Per server: response times over time, rounds side by side, and the requests that waited in the client."""
    labels = result.names
    by_server = {server.key: windows(server) for server in result.servers}
    every = [window for found in by_server.values() for window in found]
    slowest = [window["max_ms"] for window in every]
    # Up to twice the slowest, so that the names of the rounds have room above it.
    y = LogAxis.around([window["p50_ms"] for window in every] + [2 * value for value in slowest], margin=1.3)
    most = max([window["waiting"] for window in every], default=0.0)
    longest_s = max([window["end_s"] for window in every], default=result.plan.duration_s)
    slot_s = math.ceil(longest_s / GAP_S) * GAP_S + GAP_S
    panels = []
    for index, (server, colour) in enumerate(zip(result.servers, colours(len(labels)), strict=True)):
        label = labels[server.key]
        rows = _rows(label, by_server[server.key], slot_s)
        slots = _slots(server, result, slot_s)
        response, waiting = (f"{label}: {what}" for what in ("response time, ms", "waiting in the client"))
        panels += [
            Panel(f"timeline-{index}", response, _response(rows, slots, y, colour), wide=True),
            Panel(f"waiting-{index}", waiting, _waiting(rows, slots, most, colour), wide=True),
        ]
    return Figure(
        key="timeline",
        title="Time line of each round",
        finding=_finding(by_server, labels),
        panels=panels,
        tables=[_table(by_server, labels)],
        note="All panels have the same scales. The thick line is p50, the thin one p99, a dot the slowest request of a "
        "stretch; below, the requests that were due and could not be sent yet, since every connection was busy.",
    )


def _rows(server: str, found: list[Window], slot_s: float) -> list[Window]:
    return [window | {"server": server, "at": (window["round"] - 1) * slot_s + window["end_s"]} for window in found]


def _slots(server: ServerResult, result: ComparisonResult, slot_s: float) -> list[dict[str, Any]]:
    verdicts = {one.number: one.open_loop.verdict.valid for one in server.rounds}
    words = {True: "", False: ": INVALID", None: ": not run"}
    return [
        {
            "from": (round_number - 1) * slot_s,
            "to": round_number * slot_s - GAP_S,
            "middle": (round_number - 0.5) * slot_s - GAP_S / 2,
            "text": f"round {round_number}{words[verdicts.get(round_number)]}",
        }
        for round_number in range(1, result.plan.rounds + 1)
    ]


def _seconds(slots: list[dict[str, Any]], title: str | None) -> dict[str, Any]:
    """Scale and axis of the seconds of all rounds; labels count from the start of each round."""
    slot_s = slots[-1]["from"] / (len(slots) - 1) if len(slots) > 1 else slots[0]["to"] + GAP_S
    ticks = [slot["from"] + share * slots[0]["to"] for slot in slots for share in (0, 0.5, 1)]
    into_round = f"format(datum.value - {slot_s:g} * floor((datum.value + 0.01) / {slot_s:g}), '~g')"
    return {
        "scale": alt.Scale(domain=[0, slots[-1]["to"]], nice=False),
        "axis": alt.Axis(
            title=title, values=ticks, grid=False, labels=title is not None, labelFlush=True, labelExpr=into_round
        ),
    }


def _ground(canvas: Canvas, slots: list[dict[str, Any]], seconds: dict[str, Any]) -> alt.Chart:
    """A rectangle behind each round."""
    ground = canvas.chart(slots, "slots").mark_rect(opacity=0.07, color="#808890")
    behind: alt.Chart = ground.encode(x=alt.X("from:Q", **seconds), x2="to:Q")
    return behind


def _response(rows: list[Window], slots: list[dict[str, Any]], y: LogAxis, colour: str) -> dict[str, Any]:
    seconds = _seconds(slots, None)
    ms: dict[str, Any] = {"scale": y.scale(), "axis": y.axis(minExtent=EXTENT, maxExtent=EXTENT)}
    canvas = Canvas()
    base = canvas.chart(rows, "windows").encode(x=alt.X("at:Q", **seconds), detail="round:N")
    tooltip = [
        alt.Tooltip("round:Q", title="round"),
        alt.Tooltip("end_s:Q", title="until, s", format=".2f"),
        alt.Tooltip("p50_ms:Q", title="p50, ms", format=",.2f"),
        alt.Tooltip("p99_ms:Q", title="p99, ms", format=",.2f"),
        alt.Tooltip("max_ms:Q", title="slowest, ms", format=",.2f"),
        alt.Tooltip("ok:Q", title="answered", format=",.0f"),
        alt.Tooltip("failed:Q", title="failed", format=",.0f"),
        alt.Tooltip("waiting:Q", title="waiting", format=",.0f"),
    ]
    slowest = alt.Y("max_ms:Q", **ms)
    names_of_rounds = canvas.chart(slots, "rounds").mark_text(baseline="top", fontSize=11)
    layers = [
        _ground(canvas, slots, seconds),
        names_of_rounds.encode(x=alt.X("middle:Q", **seconds), y=alt.value(4), text="text:N"),
        base.mark_line(color=colour, strokeWidth=2.5).encode(y=alt.Y("p50_ms:Q", **ms)),
        base.mark_line(color=colour, strokeWidth=1).encode(y=alt.Y("p99_ms:Q", **ms)),
        base.mark_point(color=colour, size=14, filled=True, opacity=0.9).encode(y=slowest),
        base.mark_point(size=120, filled=True, opacity=0).encode(y=slowest, tooltip=tooltip),
    ]
    return canvas.spec(layers, 150)


def _waiting(rows: list[Window], slots: list[dict[str, Any]], most: float, colour: str) -> dict[str, Any]:
    seconds = _seconds(slots, "seconds of the round")
    top = max(most, 1.0)
    y = alt.Y(
        "waiting:Q",
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(title=None, values=[0, top], format=",.0f", minExtent=EXTENT, maxExtent=EXTENT),
    )
    tooltip = [alt.Tooltip("round:Q", title="round"), alt.Tooltip("end_s:Q", title="until, s", format=".2f")]
    tooltip.append(alt.Tooltip("waiting:Q", title="waiting", format=",.0f"))
    canvas = Canvas()
    # Rules and not bars: Vega-Lite widens the scale of bars, and the seconds would no longer line up.
    marks = canvas.chart(rows, "waiting").mark_rule(color=colour, strokeWidth=2.5)
    marks = marks.encode(x=alt.X("at:Q", **seconds), y=y, y2=alt.datum(0), tooltip=tooltip)
    return canvas.spec([_ground(canvas, slots, seconds), marks], 50)


def _table(by_server: dict[str, list[Window]], labels: dict[str, str]) -> Table:
    columns = [Column("server"), Column("round", 0), Column("until, s", 2), Column("answered", 0), Column("failed", 0)]
    columns += [Column("p50, ms", 3), Column("p99, ms", 3), Column("slowest, ms", 3), Column("waiting", 0)]
    fields = ("round", "end_s", "ok", "failed", "p50_ms", "p99_ms", "max_ms", "waiting")
    rows: list[list[Cell]] = [
        [labels[key], *(window[name] for name in fields)] for key, found in by_server.items() for window in found
    ]
    return Table("Every stretch of every valid run at the common rate", columns, rows)


def _finding(by_server: dict[str, list[Window]], labels: dict[str, str]) -> str:
    told = []
    for key, found in by_server.items():
        slow = [window for window in found if not math.isnan(window["max_ms"])]
        if slow:
            worst = max(slow, key=lambda window: float(window["max_ms"]))
            place = f"round {worst['round']}, {worst['end_s']:.1f} s"
            told.append(f"{labels[key]} {worst['max_ms']:,.1f} ms ({place})")
    waiting = max([window["waiting"] for found in by_server.values() for window in found], default=0)
    if not told:
        return "No valid run at the common rate."
    return (
        f"The slowest request of each server: {'; '.join(told)}. At most {waiting:,.0f} requests waited in the client."
    )
