"""Ease of setup: the starts on a time line, sizes, what is written, idle processes, and the capabilities tried out."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import altair as alt

from loadtest.report.charting import BAR_STEP, Canvas, above, captions, linear_axis, named_rows, server_scale, stacked
from loadtest.report.figure import Cell, Column, Figure, Panel, Sign, Table
from loadtest.report.reading import Document
from loadtest.report.setup_table import (
    IDLE_ROWS,
    IDLE_TITLE,
    SIZE_ROWS,
    STAGES,
    WRITTEN_ROWS,
    Row,
    spread_of,
    written_title,
)
from loadtest.report.setup_wording import looked_up_of, stand_in_lines
from loadtest.report.theme import role
from loadtest.setup.cold_start import ColdStart
from loadtest.setup.looked_up import LookedUpFact
from loadtest.setup.probes.capability import CapabilityCell
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.start_times import WarmStarts

SHAPES = ("circle", "triangle-up", "diamond")
"""One per stage of a warm start, in the order of `STAGES`."""

SHADES = (1.0, 0.5, 0.15)


@dataclass(frozen=True)
class CapabilityRow:
    """A row of the capability table.

    Attributes:
        title: What it is.
        cells: Each server's name and cell; None where it was not tried.
    """

    title: str
    cells: Sequence[tuple[str, CapabilityCell | None]]


def labels_of(document: Document) -> dict[str, str]:
    """What each server of the setup is called, those of the comparison first."""
    servers = servers_of(document)
    known = {key: label for key, label in document.comparison.server_names.items() if key in servers}
    return known | {key: server.label for key, server in servers.items() if key not in known}


def servers_of(document: Document) -> Mapping[str, ServerSetup]:
    """What was found of each server, by its key."""
    assert document.setup is not None
    return document.setup.servers


def figure(document: Document) -> Figure:
    """The starts, warm and cold, and everything that was counted."""
    labels = labels_of(document)
    servers = {key: servers_of(document)[key] for key in labels}
    everyone = [
        *document.comparison.server_names.values(),
        *(label for label in labels.values() if label not in document.comparison.server_names.values()),
    ]
    warm = {labels[key]: one.timeline.warm for key, one in servers.items() if one.timeline.warm}
    cold = {labels[key]: one.timeline.cold for key, one in servers.items() if one.timeline.cold}
    panels, legend = [], []
    if warm:
        panels.append(Panel("setup-warm", "warm start, seconds", _warm(warm, everyone), wide=True))
        legend += [Sign(title, role("muted"), shape, 0.0) for title, shape in zip(STAGES.values(), SHAPES, strict=True)]
    if cold:
        panels.append(Panel("setup-cold", "cold start, seconds", _cold(cold, everyone), wide=True))
        legend += [Sign(stage, role("muted"), "bar", shade) for stage, shade in _shades(cold).items()]
    return Figure(
        key="setup",
        title="Time to the first correct prediction",
        finding=_finding(warm, cold),
        panels=panels,
        tables=[
            *([_times(warm)] if warm else []),
            *([_cold_times(cold)] if cold else []),
        ],
        legend=legend,
        note="Warm: the server is installed and its files are in the page cache; a mark is the median of the starts, "
        "the line the range to the first correct answer. Cold: installation and export included.",
    )


def counted(document: Document) -> list[Table]:
    """Sizes, what a person writes, and idle processes: a column per server."""
    labels = labels_of(document)
    servers = [servers_of(document)[key] for key in labels]
    groups: list[tuple[str, Mapping[str, Row]]] = [
        ("Size", SIZE_ROWS),
        (written_title(document.setup) if document.setup else "", WRITTEN_ROWS),
        (IDLE_TITLE, IDLE_ROWS),
    ]
    columns = [Column(title) for title in ("", *labels.values())]
    return [
        Table(title, columns, [[name, *(cell(server) for server in servers)] for name, cell in rows.items()])
        for title, rows in groups
    ]


def capabilities(document: Document) -> list[CapabilityRow]:
    """Every capability that was tried with any server."""
    by_server = {
        label: {cell.capability: cell for cell in servers_of(document)[key].capabilities}
        for key, label in labels_of(document).items()
    }
    titles = {name: cell.title for cells in by_server.values() for name, cell in cells.items()}
    return [
        CapabilityRow(title, [(label, cells.get(name)) for label, cells in by_server.items()])
        for name, title in titles.items()
    ]


def starts_told(document: Document) -> str:
    """How many warm starts there are of each server, and where they were timed."""
    warm = [server.timeline.warm for server in servers_of(document).values() if server.timeline.warm]
    if not warm:
        return "no warm starts"
    where = ", timed in the rounds of the comparison" if warm[0].measured_in == "comparison" else ""
    return f"{max(len(one.runs) for one in warm)} warm starts of each server{where}"


def stand_ins(document: Document) -> list[str]:
    """Which column of the capability table is that of a stand-in, one line each."""
    servers = servers_of(document)
    return stand_in_lines({label: servers[key] for key, label in labels_of(document).items()})


def facts(document: Document) -> list[tuple[str, LookedUpFact]]:
    """What was looked up: whose fact it is, and the fact."""
    servers = servers_of(document)
    return [
        (looked_up_of(servers[key], label), fact)
        for key, label in labels_of(document).items()
        for fact in servers[key].facts
    ]


def faults(document: Document) -> list[str]:
    """What went wrong, one line each."""
    servers = servers_of(document)
    return [f"{label}: {fault}" for key, label in labels_of(document).items() for fault in servers[key].faults]


def _warm(warm: Mapping[str, WarmStarts], everyone: Sequence[str]) -> dict[str, Any]:
    rows = [
        {"server": server, "stage": title, "seconds": spread.median}
        for server, found in warm.items()
        for stage, title in STAGES.items()
        if (spread := spread_of(found.stages, stage))
    ]
    spans = [
        {"server": server, "from": found.low, "to": found.high, "caption": f"{server}: {_spread(found)} s"}
        for server, found in warm.items()
    ]
    canvas = Canvas()
    by_row = named_rows(list(warm))
    seconds = alt.X("seconds:Q", axis=linear_axis(), scale=alt.Scale(zero=True, nice=False))
    ranges = canvas.chart(spans, "ranges").encode(y=by_row)
    stages = alt.Scale(domain=list(STAGES.values()), range=list(SHAPES))
    servers = alt.Color("server:N", scale=server_scale(everyone), legend=None)
    mark = canvas.chart(rows, "stages").mark_point(size=90, strokeWidth=2, yOffset=9, opacity=1)
    return canvas.spec(
        [
            ranges.mark_rule(strokeWidth=3, yOffset=9, opacity=0.5).encode(x="from:Q", x2="to:Q", color=servers),
            mark.encode(
                x=seconds,
                y=by_row,
                color=servers,
                shape=alt.Shape("stage:N", scale=stages, legend=above(3), title=None),
                tooltip=[
                    alt.Tooltip("server:N", title="server"),
                    alt.Tooltip("stage:N", title="stage"),
                    alt.Tooltip("seconds:Q", title="median, s", format=".2f"),
                ],
            ),
            *captions(ranges),
        ],
        BAR_STEP * len(warm),
    )


def _cold(cold: Mapping[str, ColdStart], everyone: Sequence[str]) -> dict[str, Any]:
    parts = {server: {str(one.stage): one.seconds for one in found.stages} for server, found in cold.items()}
    texts = {server: f"{server}: {found.seconds:,.1f} s" for server, found in cold.items()}
    return stacked(parts, texts, _shades(cold), "seconds", everyone)


def _shades(cold: Mapping[str, ColdStart]) -> dict[str, float]:
    """How strongly each stage of a cold start is filled."""
    stages = dict.fromkeys(one.stage for found in cold.values() for one in found.stages)
    return {stage: SHADES[index % len(SHADES)] for index, stage in enumerate(stages)}


def _times(warm: Mapping[str, WarmStarts]) -> Table:
    columns = [Column("server"), Column("stage"), Column("median, s", 3), Column("from", 3), Column("to", 3)]
    rows: list[list[Cell]] = []
    for server, found in warm.items():
        for stage, title in STAGES.items():
            spread = spread_of(found.stages, stage)
            rows.append([server, title, *(astuple(spread) if spread else (None, None, None))])
    return Table("Warm starts: seconds since the start, median and range", columns, rows)


def _cold_times(cold: Mapping[str, ColdStart]) -> Table:
    rows: list[list[Cell]] = [
        [server, stage.stage, stage.seconds] for server, found in cold.items() for stage in found.stages
    ]
    return Table("Cold start: seconds of each stage", [Column("server"), Column("stage"), Column("seconds", 1)], rows)


def _spread(found: WarmStarts) -> str:
    return f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def _finding(warm: Mapping[str, WarmStarts], cold: Mapping[str, ColdStart]) -> str:
    told = []
    if warm:
        listed = "; ".join(f"{server} {_spread(found)} s" for server, found in warm.items())
        told.append(f"From a warm start to the first correct prediction, median and range: {listed}.")
    if cold:
        listed = "; ".join(f"{server} {found.seconds:,.0f} s" for server, found in cold.items())
        told.append(f"From nothing: {listed}.")
    return " ".join(told) or "No server was started."
