"""report.html: one file with everything in it, that needs no network."""

import functools
import json
import math
import shlex
from collections.abc import Sequence
from typing import Any

import jinja2
import vl_convert

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.records import to_json
from loadtest.report.answer import answer, conditions, validity
from loadtest.report.figure import Cell, Column, Figure, Table
from loadtest.report.figures import setup_effort
from loadtest.report.figures.cost import money, server_cores
from loadtest.report.headline import headline
from loadtest.report.markdown import environment
from loadtest.report.reading import Document
from loadtest.report.setup_wording import WORDS, evidence_of, mark_of, qualification_of
from loadtest.report.table import cells, notes
from loadtest.report.theme import DARK, FONT, LIGHT, on_page, page_config
from loadtest.report.wording import words

PRICE = 0.04
"""Price of a core-hour that the field starts with: an example of the order of magnitude, in no currency."""

SECTIONS = (
    ("answer", "The answer"),
    ("numbers-section", "The numbers, and whether to believe them"),
    ("load-section", "Latency under load"),
    ("tail-section", "The tail, and stalls"),
    ("overhead-section", "Where the time goes"),
    ("cost-section", "Cost"),
    ("setup-section", "Ease of setup"),
    ("method-section", "Method and environment"),
)
ABSENT = {
    "load": "No valid run at any rate, so there is nothing to draw.",
    "percentiles": "No valid run at the common rate, so there are no percentiles.",
    "timeline": "No valid run at the common rate, so there is no time line.",
    "overhead": "No valid run at the common rate, so the time cannot be split.",
    "cost": "CPU and memory are not known: no run is valid, or they could not be read.",
    "setup": "No server was started, so there is no time line.",
}
PATHS = {
    "circle": "M7,0A7,7,0,1,1,-7,0A7,7,0,1,1,7,0",
    "square": "M-6.5,-6.5H6.5V6.5H-6.5Z",
    "triangle-up": "M0,-7L8,7H-8Z",
    "triangle-down": "M0,7L8,-7H-8Z",
    "diamond": "M0,-8.5L8.5,0L0,8.5L-8.5,0Z",
    "cross": "M-8,-3H-3V-8H3V-3H8V3H3V8H-3V3H-8Z",
}
"""The symbols of `loadtest.report.theme.SHAPES` for legends outside of charts."""


def render_page(document: Document, drawn: Sequence[Figure]) -> str:
    """The page of a comparison.

    Args:
        document: The comparison, and the ease of setup where it was measured.
        drawn: Its figures.
    """
    result = document.comparison
    figures = {figure.key: figure for figure in drawn}
    header, *lines = cells(result)
    return render(
        "comparison.html.j2",
        drawn,
        result=result,
        labels=list(result.names.values()),
        sections=SECTIONS,
        figures=figures,
        absent=ABSENT,
        headline=headline(document),
        unmeasured=_unmeasured(result),
        answer=answer(result),
        conditions=conditions(result),
        summary=Table("All measures", [Column(title) for title in header], lines),
        validity=validity(result),
        notes=notes(result),
        price=PRICE,
        money_table=money(result),
        cores=server_cores(result),
        setup=_setup(document) if document.setup else None,
        environment=environment(result),
        commands=_commands(result),
        plan=_pretty({name: getattr(result, name) for name in ("plan", "launcher", "placement", "workload")}),
        forward_pass=_pretty(result.forward_pass),
        servers=[
            {
                "label": label,
                "started": _pretty(server.started),
                "effective": _pretty(server.effective),
            }
            for label, server in zip(result.names.values(), result.servers, strict=True)
        ],
    )


def _unmeasured(result: ComparisonResult) -> list[str]:
    """Servers that could not be measured, or not completely, with the reason."""
    return [f"{result.names[server.key]}: {words(fault)}" for server in result.servers for fault in server.faults]


def _setup(document: Document) -> dict[str, Any]:
    """What section 6 shows beside the time line."""
    assert document.setup is not None
    measured = document.setup
    return {
        "date": measured.date.isoformat(),
        "starts": setup_effort.starts_told(document),
        "launcher": measured.launcher.get("launcher", "unknown"),
        "labels": list(setup_effort.labels_of(document).values()),
        "counted": setup_effort.counted(document),
        "capabilities": setup_effort.capabilities(document),
        "stand_ins": setup_effort.stand_ins(document),
        "facts": setup_effort.facts(document),
        "faults": setup_effort.faults(document),
    }


def render(template: str, drawn: Sequence[Figure], **content: Any) -> str:
    """Render a template with its charts, styles and scripts inside."""
    charts = {panel.key: on_page(panel.spec) for figure in drawn for panel in figure.panels}
    return (
        _environment()
        .get_template(template)
        .render(
            charts=_inside_script(json.dumps({"specs": charts, "config": page_config()}, allow_nan=False)),
            bundle=_bundle(),
            light=LIGHT,
            dark=DARK,
            font=FONT,
            **content,
        )
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("loadtest.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(
        known=_known,
        money=_money,
        paths=PATHS,
        words=WORDS,
        mark=mark_of,
        qualification=qualification_of,
        evidence=evidence_of,
    )
    return environment


@functools.cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the wheel: nothing is fetched."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")


def _inside_script(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("<", "\\u003c")


def _known(cell: Cell) -> bool:
    return isinstance(cell, (int, float)) and math.isfinite(cell)


def _money(core_s: Cell) -> str:
    """What the field's first price makes of core-seconds, to three significant digits."""
    if not isinstance(core_s, (int, float)) or not math.isfinite(core_s):
        return "—"
    rounded = float(f"{core_s * PRICE / 3600:.3g}")
    return f"{rounded:,.12f}".rstrip("0").rstrip(".")


def _pretty(content: Any) -> str:
    return to_json(content).decode().rstrip()


def _commands(result: ComparisonResult) -> list[str]:
    workload = result.workload.name
    return [f"python -m models build {workload}", "loadtest " + shlex.join(result.command)]
