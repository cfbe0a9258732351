"""Pieces that the charts share: data, server colours, logarithmic axes, named bars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt

from loadtest.judge.intervals import Estimate
from loadtest.report.reading import span
from loadtest.report.theme import colours, role, shapes

Row = Mapping[str, Any]
BAR_STEP = 46
"""Height of a named bar, in pixels."""


class Canvas:
    """A chart under construction: its data stand beside the marks, which name them.

    Inside of the marks Altair would check the data against the schema of Vega-Lite, value by value.
    """

    def __init__(self) -> None:
        self._datasets: dict[str, list[dict[str, Any]]] = {}

    def chart(self, rows: Sequence[Row], name: str) -> alt.Chart:
        """A chart over rows of plain data; null in place of NaN, as JSON has it."""
        self._datasets[name] = [{key: None if is_nan(value) else value for key, value in row.items()} for row in rows]
        return alt.Chart(alt.NamedData(name=name))

    def spec(self, layers: Sequence[alt.Chart], height: float) -> dict[str, Any]:
        """The Vega-Lite specification of marks over each other, as wide as the element that it is put into."""
        spec: dict[str, Any] = alt.layer(*layers).properties(width="container", height=height).to_dict()
        spec.pop("config", None)  # Altair's own defaults; ours are in `theme`
        return {**spec, "datasets": self._datasets}


def server_scale(labels: Sequence[str]) -> alt.Scale:
    """From a server's name to its colour."""
    return alt.Scale(domain=list(labels), range=colours(len(labels)))


def colour(field_name: str, labels: Sequence[str], *, legend: bool = True) -> alt.Color:
    """The encoding of servers by colour; the legend shows in pictures only."""
    scale = server_scale(labels)
    return alt.Color(f"{field_name}:N", scale=scale, legend=above(min(len(labels), 3)) if legend else None, title=None)


def shape(field_name: str, labels: Sequence[str]) -> alt.Shape:
    """The encoding of servers by shape."""
    scale = alt.Scale(domain=list(labels), range=shapes(len(labels)))
    return alt.Shape(f"{field_name}:N", scale=scale, legend=above(min(len(labels), 3)), title=None)


def above(columns: int) -> alt.Legend:
    """A legend above the chart."""
    return alt.Legend(orient="top", labelLimit=0, columns=columns, symbolOpacity=1)


def is_nan(value: object) -> bool:
    """Whether it is a number that JSON cannot hold."""
    return isinstance(value, float) and not math.isfinite(value)


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis around some values, with ticks at 1, 2 and 5 times the powers of ten.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        ticks: Where labels stand.
    """

    low: float
    high: float
    ticks: list[float] = field(default_factory=list)

    @classmethod
    def around(cls, values: Sequence[float], margin: float = 1.15) -> "LogAxis":
        """The axis that holds these values and at least one tick; values not above zero have no place on it."""
        there = [value for value in values if math.isfinite(value) and value > 0] or [1.0, 10.0]
        low, high = min(there) / margin, max(there) * margin
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
        ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
        if not any(low <= tick <= high for tick in ticks):  # an axis without a number says nothing
            low, high = max(tick for tick in ticks if tick <= low), min(tick for tick in ticks if tick >= high)
        return cls(low, high, [tick for tick in ticks if low <= tick <= high])

    def within(self, value: float) -> float:
        """The value, or the end of the axis that it lies beyond; NaN stays NaN."""
        return value if math.isnan(value) else min(max(value, self.low), self.high)

    def scale(self) -> alt.Scale:
        """The scale for a chart."""
        return alt.Scale(type="log", domain=[self.low, self.high], nice=False)

    def axis(self, title: str | None = None, **options: Any) -> alt.Axis:
        """The axis for a chart."""
        return alt.Axis(title=title, values=self.ticks, format="~s" if self.high >= 1e5 else ",~g", **options)


def bars(rows: Sequence[Row], name: str, title: str, labels: Sequence[str]) -> dict[str, Any]:
    """Horizontal bars, one per server, each under its caption and with its interval.

    Args:
        rows: ``server``, ``value``, ``low``, ``high``, ``text`` for the tooltip and ``caption``.
        name: Of the data.
        title: What the bars measure, with the unit.
        labels: Names of all servers, in order.
    """
    canvas = Canvas()
    top = max([float(row["value"]) for row in rows if not is_nan(row["value"])], default=1.0) or 1.0
    reach = max([float(row["high"]) for row in rows if not is_nan(row["high"])], default=top)
    scale = alt.Scale(domain=[0, max(top * 1.05, min(reach * 1.02, top * 2))], nice=False)
    base = canvas.chart(rows, name).encode(y=named_rows([row["server"] for row in rows]))
    bar = base.mark_bar(height=14, yOffset=9, cornerRadiusEnd=2).encode(
        x=alt.X("value:Q", scale=scale, axis=linear_axis()),
        color=colour("server", labels, legend=False),
        tooltip=[alt.Tooltip("server:N", title="server"), alt.Tooltip("text:N", title=title)],
    )
    span = {"x": alt.X("low:Q", scale=scale), "x2": "high:Q"}
    # A halo of the ground's colour, so that the line is seen on dark bars as well.
    halo = base.mark_rule(strokeWidth=5, yOffset=9, clip=True, color=role("ground")).encode(**span)
    interval = base.mark_rule(strokeWidth=1.5, yOffset=9, clip=True).encode(**span)
    return canvas.spec([bar, halo, interval, *captions(base)], BAR_STEP * max(len(rows), 1))


def stacked(
    parts: Mapping[str, Mapping[str, float]],
    texts: Mapping[str, str],
    shades: Mapping[str, float],
    unit: str,
    labels: Sequence[str],
) -> dict[str, Any]:
    """Horizontal bars made of parts, one per server, each under its caption.

    Args:
        parts: Of each server, the length of each part, in the order in which they follow each other.
        texts: Caption of each server.
        shades: How strongly each part is filled.
        unit: Of the lengths, for the tooltip.
        labels: Names of all servers, in order.
    """
    rows = []
    for server, lengths in parts.items():
        start = 0.0
        for part, length in lengths.items():
            rows.append({"server": server, "part": part, "length": length, "from": start, "to": start + length})
            start += length
    canvas = Canvas()
    by_row = named_rows(list(parts))
    base = canvas.chart(rows, "parts").encode(
        x=alt.X("from:Q", axis=linear_axis(), scale=alt.Scale(nice=False)),
        x2="to:Q",
        y=by_row,
        tooltip=[
            alt.Tooltip("server:N", title="server"),
            alt.Tooltip("part:N", title="part"),
            alt.Tooltip("length:Q", title=unit, format=",.3~f"),
        ],
    )
    strength = alt.Scale(type="ordinal", domain=list(shades), range=list(shades.values()))
    bar = base.mark_bar(height=16, yOffset=9).encode(
        fill=alt.Fill("server:N", scale=server_scale(labels), legend=None),
        opacity=alt.Opacity("part:O", scale=strength, legend=alt.Legend(orient="top", labelLimit=0), title=None),
    )
    outline = base.mark_bar(height=16, yOffset=9, filled=False, strokeWidth=1.2).encode(
        stroke=alt.Stroke("server:N", scale=server_scale(labels), legend=None)
    )
    named = canvas.chart([{"server": name, "caption": text} for name, text in texts.items()], "texts")
    return canvas.spec([bar, outline, *captions(named.encode(y=by_row))], BAR_STEP * len(parts))


@dataclass(frozen=True)
class Point:
    """A point of `lines`.

    Attributes:
        server: Its name.
        x: Its place on the axis of the quantity.
        at: That place in words, for the tooltip.
        value: With its interval; a value that is not known, infinite or not above zero has no place.
    """

    server: str
    x: float
    at: str
    value: Estimate


def lines(
    points: Sequence[Point],
    name: str,
    x: LogAxis,
    titles: tuple[str, str],
    labels: Sequence[str],
    *,
    ends: Sequence[float] = (),
    places: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A line for each server over a quantity, its points with their intervals.

    Args:
        points: In any order.
        name: Of the data.
        x: The axis of the quantity.
        titles: Of the quantity, and of the values for the tooltip.
        labels: Names of all servers, in order.
        ends: Values that the other axis holds in any case.
        places: Places on the axis of the quantity that have a name, by it.
    """
    shown = [point for point in points if point.value.known and 0 < point.value.value < math.inf]
    y = LogAxis.around([*ends, *(point.value.value for point in shown)], margin=1.3)
    rows = [
        {
            "server": point.server,
            "x": point.x,
            "value": point.value.value,
            "low": y.within(point.value.low),
            "high": y.within(point.value.high),
            "at": point.at,
            "text": span(point.value, 2),
        }
        for point in shown
    ]
    canvas = Canvas()
    base = canvas.chart(rows, name).encode(
        x=alt.X("x:Q", scale=x.scale(), axis=x.axis(titles[0])), color=colour("server", labels)
    )
    value = alt.Y("value:Q", scale=y.scale(), axis=y.axis())
    tooltip = [
        alt.Tooltip("server:N", title="server"),
        alt.Tooltip("at:N", title=titles[0]),
        alt.Tooltip("text:N", title=titles[1]),
    ]
    interval = base.mark_rule(strokeWidth=2, opacity=0.5, clip=True).encode(
        y=alt.Y("low:Q", scale=y.scale(), title=None), y2="high:Q"
    )
    point = base.mark_point(size=70, filled=True, opacity=1).encode(y=value, shape=shape("server", labels))
    hover = base.mark_point(size=400, filled=True, opacity=0).encode(y=value, tooltip=tooltip)
    line = base.mark_line(strokeWidth=2).encode(y=value)
    return canvas.spec([*_named(canvas, places or {}, x), line, interval, point, hover], 260)


def _named(canvas: Canvas, places: Mapping[str, float], x: LogAxis) -> list[alt.Chart]:
    """Names above a chart, each over a line down to its place; on two heights in turn, as neighbours may be close."""
    ordered = sorted(places.items(), key=lambda one: one[1])
    layers = []
    for height in range(2):
        at = [{"name": name, "at": place} for name, place in ordered[height::2]]
        base = canvas.chart(at, f"places_{height}").encode(x=alt.X("at:Q", scale=x.scale()))
        name = base.mark_text(baseline="bottom", dy=-4 - 14 * height, color=role("muted"))
        layers += [base.mark_rule(strokeDash=[2, 4], color=role("muted")), name.encode(y=alt.value(0), text="name:N")]
    return layers


def named_rows(order: Sequence[str]) -> alt.Y:
    """The encoding of servers by row; `captions` name them, since an axis would take half of a phone's width."""
    return alt.Y("server:N", sort=list(order), axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))


def captions(base: alt.Chart) -> list[alt.Chart]:
    """The field ``caption`` above the bar of each row, on a halo that keeps grid lines from crossing it."""
    place: dict[str, Any] = {"align": "left", "baseline": "middle", "dy": -9}
    ground = role("ground")
    return [
        one.encode(x=alt.value(0), text="caption:N")
        for one in (base.mark_text(**place, stroke=ground, strokeWidth=4, color=ground), base.mark_text(**place))
    ]


def linear_axis() -> alt.Axis:
    """An axis of few plain numbers."""
    return alt.Axis(title=None, tickCount=5, format=",~f", labelFlush=True)
