"""Under fire: goodput against offered load, and what else was tried out, as tables."""

import math
from collections.abc import Mapping
from typing import Any

import altair as alt

from loadtest.report.charting import Canvas, colour, shape
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, server_signs
from loadtest.report.fire_wording import kinds, left, other_errors, refused, sentences
from loadtest.report.theme import role
from loadtest.resilience.hostile.request import OUTCOMES
from loadtest.resilience.resilience_file import Resilience

Found = Mapping[str, Resilience]


def figure(found: Found) -> Figure:
    """The section's figure.

    Args:
        found: What was tried out, by the server's key.
    """
    labels = [one.label for one in found.values()]
    overloaded = {one.label: one.overload for one in found.values() if one.overload}
    panels = []
    if overloaded:
        panels = [
            Panel("fire-goodput", "Answered in time, as a share of capacity", _goodput(found, labels)),
            Panel("fire-p99", "p99 of what was answered, ms", _answered(found, labels)),
        ]
    patience = {one.plan.patience_s for one in overloaded.values()}
    return Figure(
        key="under_fire",
        title="What each server did",
        finding=" ".join(f"{one.label}: {' '.join(sentences(one))}" for one in found.values() if sentences(one)),
        panels=panels,
        tables=tables(found),
        legend=server_signs(labels) if panels else (),
        note=(
            "Load is offered as a Poisson process, as a multiple of what the server answers in a closed loop; a client "
            f"leaves after {' or '.join(f'{one:g}' for one in sorted(patience))} s, and only answers before count. "
            "The dashed line is all that was offered, up to the capacity."
            if panels
            else ""
        ),
    )


def tables(found: Found) -> list[Table]:
    """One for each part that was tried out."""
    return [
        table for table in (_levels(found), _changes(found), _ends(found), _left(found), _hostile(found)) if table.rows
    ]


def _points(found: Found) -> list[dict[str, Any]]:
    return [
        {
            "server": one.label,
            "offered": level.factor,
            "goodput": one.overload.goodput_share(level),
            "p99": level.p99_ms if math.isfinite(level.p99_ms) else None,
            "refused": refused(level) / max(level.requests, 1),
        }
        for one in found.values()
        if one.overload
        for level in one.overload.levels
    ]


def _goodput(found: Found, labels: list[str]) -> dict[str, Any]:
    rows = _points(found)
    top = max(row["offered"] for row in rows)
    x = alt.X("offered:Q", scale=alt.Scale(domain=[0, top], nice=False), axis=_offered())
    y = alt.Y("goodput:Q", scale=alt.Scale(domainMin=0), axis=alt.Axis(title=None, format=".1f"))
    tooltip = [
        alt.Tooltip("goodput:Q", title="answered in time", format=".2f"),
        alt.Tooltip("refused:Q", title="refused", format=".0%"),
    ]
    canvas = Canvas()
    ideal = [{"offered": at, "goodput": min(at, 1.0)} for at in (0.0, 1.0, top)]
    line = canvas.chart(ideal, "ideal").mark_line(strokeDash=[4, 4], color=role("muted")).encode(x=x, y=y)
    return canvas.spec([line, *_by_server(canvas.chart(rows, "goodput").encode(x=x, y=y), labels, tooltip)], 260)


def _answered(found: Found, labels: list[str]) -> dict[str, Any]:
    x = alt.X("offered:Q", scale=alt.Scale(domainMin=0), axis=_offered())
    y = alt.Y("p99:Q", scale=alt.Scale(type="log"), axis=alt.Axis(title=None, format=",~g", tickCount=5))
    tooltip = [alt.Tooltip("p99:Q", title="p99, ms", format=",.1f")]
    canvas = Canvas()
    rows = [row for row in _points(found) if row["p99"]]
    return canvas.spec(_by_server(canvas.chart(rows, "p99").encode(x=x, y=y), labels, tooltip), 260)


def _offered() -> alt.Axis:
    return alt.Axis(title="offered, as a multiple of capacity", tickCount=6)


def _by_server(base: alt.Chart, labels: list[str], told: list[alt.Tooltip]) -> list[alt.Chart]:
    """A line with points for each server, and what is told where the pointer is near one."""
    coloured = base.encode(color=colour("server", labels))
    tooltip = [alt.Tooltip("server:N", title="server"), alt.Tooltip("offered:Q", title="offered"), *told]
    return [
        coloured.mark_line(strokeWidth=2),
        coloured.mark_point(size=70, filled=True, opacity=1).encode(shape=shape("server", labels)),
        coloured.mark_point(size=400, filled=True, opacity=0).encode(tooltip=tooltip),
    ]


def _levels(found: Found) -> Table:
    columns = [
        Column("server"),
        Column("offered, times capacity", 2),
        Column("offered/s", 0),
        Column("in time/s", 0),
        Column("times capacity", 2),
        Column("refused", 0),
        Column("client left", 0),
        Column("other errors", 0),
        Column("wrong", 0),
        Column("p50 of answers, ms", 1),
        Column("p99, ms", 1),
        Column("memory, MiB", 0),
        Column("believable"),
    ]
    rows: list[list[Cell]] = [
        [
            one.label,
            level.factor,
            level.offered_rps,
            level.goodput_rps,
            one.overload.goodput_share(level),
            refused(level),
            left(level),
            other_errors(level),
            level.wrong,
            level.p50_ms,
            level.p99_ms,
            level.resident_mib,
            "no: the client or the machine" if level.faults else "yes",
        ]
        for one in found.values()
        if one.overload
        for level in one.overload.levels
    ]
    return Table("Overload", columns, rows)


def _changes(found: Found) -> Table:
    columns = [
        Column("server"),
        Column("change"),
        Column("requests", 0),
        Column("lost"),
        Column("of both versions", 0),
        Column("of a broken version", 0),
        Column("first answer after, s", 2),
        Column("only it after, s", 2),
        Column("p99 before, ms", 1),
        Column("p99 meanwhile, ms", 1),
        Column("longest, ms", 0),
        Column("memory before, MiB", 0),
        Column("at most, MiB", 0),
    ]
    rows: list[list[Cell]] = [
        [
            one.label,
            step.change,
            step.requests,
            kinds(step.lost),
            step.mixed,
            step.unwanted,
            step.first_s,
            step.only_s,
            step.before_p99_ms,
            step.during_p99_ms,
            step.during_max_ms,
            step.before_mib,
            step.peak_mib,
        ]
        for one in found.values()
        if one.rollout
        for step in one.rollout.steps
    ]
    return Table("A new version", columns, rows)


def _ends(found: Found) -> Table:
    columns = [
        Column("server"),
        Column("what ended"),
        Column("times", 0),
        Column("requests", 0),
        Column("lost"),
        Column("refused"),
        Column("wrong", 0),
        Column("right again after, s", 2),
        Column("without an answer, s", 2),
        Column("all processes gone after, s", 2),
        Column("left over", 0),
    ]
    rows: list[list[Cell]] = [
        [
            one.label,
            end.ended,
            end.repeats,
            end.requests,
            kinds(end.lost),
            kinds(end.refused),
            end.wrong,
            end.recovered_s,
            end.outage_s,
            end.gone_s,
            end.orphans,
        ]
        for one in found.values()
        for end in one.crash or ()
    ]
    return Table("Processes that end", columns, rows)


def _left(found: Found) -> Table:
    columns = [
        Column("server"),
        Column("wire"),
        Column("instances in a request", 0),
        Column("CPU of a request that is waited for, ms", 1),
        Column("of a cancelled one, ms", 1),
        Column("done for nobody, %", 0),
        Column("right afterwards"),
    ]
    rows: list[list[Cell]] = [
        [
            one.label,
            gone.wire,
            gone.instances,
            gone.waited_cpu_s * 1e3,
            gone.left_cpu_s * 1e3,
            gone.done_for_nobody * 100,
            "yes" if gone.right_afterwards else "no",
        ]
        for one in found.values()
        for gone in one.leave or ()
    ]
    return Table("Clients that leave", columns, rows)


def _hostile(found: Found) -> Table:
    columns = [
        Column("server"),
        Column("wire"),
        Column("sent", 0),
        *(Column(outcome, 0) for outcome in OUTCOMES),
        Column("right afterwards"),
        Column("memory, MiB more", 0),
        Column("descriptors more", 0),
    ]
    rows: list[list[Cell]] = [
        [
            one.label,
            sent.wire,
            len(sent.answers),
            *(sent.outcomes()[outcome] for outcome in OUTCOMES),
            "yes" if sent.whole.right else "no",
            sent.whole.memory_growth_mib,
            sent.whole.descriptor_growth,
        ]
        for one in found.values()
        for sent in one.hostile or ()
    ]
    return Table("Hostile requests", columns, rows)
