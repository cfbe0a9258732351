"""Where the CPU time of a request goes, layer by layer, as the servers count it in a run of its own.

The bare forward pass stands beside it: what the same network takes in a process of its own. A server that cannot tell
its layers is shown with that and its whole CPU time, as measured at the ceiling.
"""

import math
from dataclasses import dataclass
from typing import Any

import altair as alt

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import NO_LAYERS
from loadtest.report.charting import BAR_STEP, Canvas, captions, linear_axis, named_rows
from loadtest.report.figure import Cell, Column, Figure, Panel, Sign, Table
from loadtest.report.theme import LAYERS, role
from loadtest.report.wording import all_words

FORWARD, UNTOLD = "forward pass", "not told apart"
LABELLED = 0.07
"""A part has its number in it from this share of the longest bar on; a shorter one has no room for it."""


@dataclass(frozen=True)
class Told:
    """What is known of one server.

    Attributes:
        name: What it is called.
        layers_us: µs of CPU for a request by layer; of a server that cannot tell, the bare forward pass and the rest.
        cpu_us: All of its CPU time for a request in the run with counters, or at the ceiling where it has none; NaN
            where the run cannot be believed.
        bare_us: The bare forward pass of its framework; NaN where that is not known.
        overhead: CPU time for a request with the counters, divided by that without them.
        why_not: Why its layers are not told.
        silent: Whether it has no counters at all.
        remainders: Layers that are a remainder.
    """

    name: str
    layers_us: dict[str, float]
    cpu_us: float
    bare_us: float
    overhead: float
    why_not: str
    silent: bool
    remainders: list[str]


def told(result: ComparisonResult) -> list[Told]:
    """One per server that was asked."""
    # Timed by the clock, which is CPU time only where it has a single thread.
    single = result.placement.server_threads == 1
    passes = {one.runtime: one.typical_ms * 1000 for one in result.forward_pass if single}
    rows = {row.key: row for row in result.summary}
    found = []
    for server in result.servers:
        asked = server.breakdown
        if asked is None:
            continue
        row = rows.get(server.key)
        # Seconds for 1,000 predictions are milliseconds for one.
        measured_us = row.cpu_s_per_1000_at_ceiling.value * 1000 * result.plan.batch if row else math.nan
        bare_us = passes.get(server.runtime, math.nan)
        silent = any(fault.code == NO_LAYERS for fault in asked.faults)
        layers = asked.layers_us
        counted_us = math.nan if asked.faults else asked.cpu_us
        if silent and measured_us > 0:
            forward = min(bare_us, measured_us) if bare_us > 0 else 0.0
            layers = {FORWARD: forward, UNTOLD: measured_us - forward}
        found.append(
            Told(
                result.names[server.key],
                layers,
                measured_us if silent else counted_us,
                bare_us,
                counted_us / measured_us if measured_us > 0 else math.nan,
                all_words(asked.faults),
                silent,
                asked.remainders,
            )
        )
    return found


def figure(result: ComparisonResult) -> Figure:
    """A bar for each server, made of its layers."""
    found = told(result)
    # In the order of the server that has the most of them; what is not told apart comes last.
    most_first = sorted(found, key=lambda one: -len(one.layers_us))
    names = list(dict.fromkeys(layer for one in most_first for layer in one.layers_us))
    colours = {name: role(LAYERS[index % len(LAYERS)]) for index, name in enumerate(names)}
    remainders = list(dict.fromkeys(layer for one in found for layer in one.remainders))
    note = (
        "Counted by the servers themselves in a closed loop of its own, after the rounds; nothing else is taken from "
        "that run. A layer's time is what its calls use of their thread's CPU, without what other layers use inside of "
        "them."
    )
    if remainders:
        note += f" Remainders, what a process uses beside what it counts: {', '.join(remainders)}."
    return Figure(
        key="layers",
        title="The CPU time of a request, layer by layer",
        finding=_finding(found),
        panels=[Panel("layers-cpu", "CPU for a request in a closed loop, µs", _bars(found, colours), wide=True)],
        tables=[_table(found, names)] if found else [],
        legend=[Sign(name, colour, "bar") for name, colour in colours.items()],
        note=note,
    )


def _bars(found: list[Told], colours: dict[str, str]) -> dict[str, Any]:
    shown = [one for one in found if one.layers_us]
    longest = max((sum(one.layers_us.values()) for one in shown), default=1.0)
    rows = []
    for one in shown:
        start = 0.0
        for layer, length in one.layers_us.items():
            rows.append(
                {
                    "name": one.name,
                    "layer": layer,
                    "us": length,
                    "from": start,
                    "middle": start + length / 2,
                    "to": start + length,
                    "number": f"{length:,.0f}" if length >= LABELLED * longest else "",
                }
            )
            start += length
    canvas = Canvas()
    by_row = named_rows([one.name for one in shown]).copy()
    by_row.shorthand = "name:N"
    scale = alt.Scale(domain=[0, longest], nice=False)
    base = canvas.chart(rows, "layers").encode(y=by_row)
    fill = alt.Scale(domain=list(colours), range=list(colours.values()))
    bar = base.mark_bar(height=20, yOffset=10, stroke=role("ink"), strokeWidth=0.7).encode(
        x=alt.X("from:Q", axis=linear_axis(), scale=scale),
        x2="to:Q",
        fill=alt.Fill("layer:N", scale=fill, title=None, legend=alt.Legend(orient="top", labelLimit=0, columns=3)),
        tooltip=[
            alt.Tooltip("name:N", title="server"),
            alt.Tooltip("layer:N", title="layer"),
            alt.Tooltip("us:Q", title="µs", format=",.1f"),
        ],
    )
    number = base.mark_text(baseline="middle", dy=10).encode(x=alt.X("middle:Q", scale=scale), text="number:N")
    named = [{"name": one.name, "caption": f"{one.name}: {sum(one.layers_us.values()):,.0f} µs"} for one in shown]
    return canvas.spec(
        [bar, number, *captions(canvas.chart(named, "names").encode(y=by_row))], BAR_STEP * max(len(shown), 1)
    )


def _table(found: list[Told], names: list[str]) -> Table:
    columns = [
        Column("server"),
        *(Column(f"{name}, µs", 0) for name in names if name != UNTOLD),
        Column("together, µs", 0),
        Column("the bare forward pass, µs", 0),
        Column("with counters ÷ without", 2),
    ]
    rows: list[list[Cell]] = []
    for one in found:
        layers = {} if one.silent else one.layers_us
        parts: list[Cell] = [layers.get(name) for name in names if name != UNTOLD]
        rows.append([one.name, *parts, one.cpu_us, one.bare_us, one.overhead])
    return Table("CPU time of a request, layer by layer", columns, rows)


def _finding(found: list[Told]) -> str:
    sentences = []
    able = [one for one in found if one.layers_us and not one.silent]
    if able:
        each = "; ".join(f"{one.name} {_share(one):.0%} of {one.cpu_us:,.0f} µs" for one in able)
        sentences.append(f"Share of a request's CPU time that is the forward pass: {each}.")
    sentences += [f"{one.name} is not divided: {one.why_not}." for one in found if one.why_not]
    return " ".join(sentences) or "Not measured."


def _share(one: Told) -> float:
    return one.layers_us.get(FORWARD, 0.0) / sum(one.layers_us.values())
