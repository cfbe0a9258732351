"""report.html: one file with everything in it, that needs no network."""

import functools
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import vl_convert

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.records import to_json
from loadtest.report.answer import answer, conditions, validity, why_apart
from loadtest.report.exports_table import exports_origin, exports_refused, exports_table
from loadtest.report.figure import Cell, Column, Figure, Table
from loadtest.report.figures import Drawn, setup_effort, slug
from loadtest.report.figures.cost import money, server_cores
from loadtest.report.fire_wording import sentences
from loadtest.report.headline import ease_of_setup, headline, speed
from loadtest.report.markdown import environment
from loadtest.report.missing import missing
from loadtest.report.model_section import model_content
from loadtest.report.reading import Document, Results
from loadtest.report.server_times import cross_check
from loadtest.report.setup_wording import WORDS, evidence_of, mark_of, qualification_of
from loadtest.report.soak_wording import soak_sentences
from loadtest.report.table import cells, notes
from loadtest.report.theme import DARK, FONT, LIGHT, on_page, page_config
from loadtest.report.wording import words
from loadtest.resilience.resilience_file import ResilienceFile
from loadtest.resilience.soak_file import SoakFile

PRICE = 0.04
"""Price of a core-hour that the field starts with: an example of the order of magnitude, in no currency."""

SECTIONS = (
    ("answer", "The answer"),
    ("numbers-section", "The numbers, and whether to believe them"),
    ("load-section", "Latency under load"),
    ("tail-section", "The tail, and stalls"),
    ("overhead-section", "Where the time goes"),
    ("cost-section", "Cost"),
    ("fire-section", "Under fire"),
    ("setup-section", "Ease of setup"),
    ("method-section", "Method and environment"),
)
"""Of a page with one comparison."""
MODEL_SECTION = ("model-section", "The model")
"""Before the last one, where something is told of a model."""
EXPORTS_SECTION = ("exports-section", "Beyond servers")
"""Behind it, where exports to phones and browsers were tried."""
ABSENT = {
    "load": "No valid run at any rate, so there is nothing to draw.",
    "percentiles": "No valid run at the common rate, so there are no percentiles.",
    "timeline": "No valid run at the common rate, so there is no time line.",
    "overhead": "No valid run at the common rate, so the time cannot be split.",
    "layers": "Where the CPU time of a request goes, layer by layer, was not measured: loadtest compare does that with "
    "servers that it starts as processes of this machine (launcher local), unless --quick or --no-layers is given.",
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


def render_page(results: Results, drawn: Drawn) -> str:
    """The page of a result.

    Args:
        results: The comparisons, and the ease of setup where it was measured.
        drawn: Their figures.
    """
    names = list(results.by_name)
    told = speed if len(names) > 1 else headline
    sections = list(SECTIONS) if len(names) == 1 else _sections(results, drawn)
    if results.models:
        sections.insert(-1, MODEL_SECTION)
    if results.exported:
        sections.insert(-1, EXPORTS_SECTION)
    return render(
        "comparison.html.j2",
        drawn.every,
        names=names,
        started_at=results.documents[0].comparison.started_at,
        sections=sections,
        comparisons=[
            _comparison(document, told(document), drawn.of[name]) for name, document in results.by_name.items()
        ],
        unmeasured=results.unmeasured,
        file_remarks=results.remarks,
        across=drawn.across,
        setup_figure=drawn.setup,
        absent=ABSENT,
        price=PRICE,
        ease=ease_of_setup(results.with_setup) if results.with_setup and len(names) > 1 else [],
        fire=fire_content(results.resilience, drawn.fire) if results.resilience and drawn.fire else None,
        night=night_content(results.soak, drawn.night) if results.soak and drawn.night else None,
        setup=_setup(results.with_setup) if results.with_setup else None,
        models=[model_content(record) for record in results.models.values()],
        exported=[
            {"table": exports_table(one), "origin": exports_origin(one), "refused": exports_refused(one)}
            for one in results.exported.values()
        ],
        commands=_commands(results),
        took=_took(results),
    )


def _sections(results: Results, drawn: Drawn) -> list[tuple[str, str]]:
    """Of a page with several comparisons: the answers, what holds them side by side, each of them, and the rest."""
    batches = len({one.plan.batch for one in results.comparisons.values()}) > 1
    models = len({one.workload.name for one in results.comparisons.values()}) > 1
    title = " and ".join(["from model to model"] * models + ["from batch size to batch size"] * batches)
    across = [("across-section", title.capitalize())] if drawn.across else []
    each = [(f"{slug(name)}-section", name) for name in results.by_name]
    return [SECTIONS[0], *across, *each, *SECTIONS[-3:]]


def _comparison(document: Document, told: Sequence[str], figures: Mapping[str, Figure]) -> dict[str, Any]:
    """What the page shows of one comparison."""
    result = document.comparison
    header, *lines = cells(result)
    return {
        "name": result.name,
        "slug": slug(result.name),
        "result": result,
        "labels": list(result.names.values()),
        "figures": figures,
        "headline": told,
        "apart": why_apart(result),
        "missing": missing(result),
        "setup": document.setup is not None,
        "faults": _faults(result),
        "answer": answer(result),
        "conditions": conditions(result),
        "summary": Table("All measures", [Column(title) for title in header], lines),
        "validity": validity(result),
        "notes": notes(result),
        "cross_check": cross_check(result),
        "money_table": money(result),
        "cores": server_cores(result),
        "environment": environment(result),
        "plan": _pretty({name: getattr(result, name) for name in ("plan", "launcher", "placement", "workload")}),
        "forward_pass": _pretty(result.forward_pass),
        "servers": [
            {"label": label, "started": _pretty(server.started), "effective": _pretty(server.effective)}
            for label, server in zip(result.names.values(), result.servers, strict=True)
        ],
    }


def _faults(result: ComparisonResult) -> list[str]:
    """Servers that could not be measured, or not completely, with the reason."""
    return [f"{result.names[server.key]}: {words(fault)}" for server in result.servers for fault in server.faults]


def fire_content(file: ResilienceFile, figure: Figure) -> dict[str, Any]:
    """What the section 'Under fire' shows."""
    faults = [
        f"{one.label}, {part} was not tried out: {fault}"
        for one in file.servers.values()
        for part, fault in one.faults.items()
    ]
    told = {one.label: sentences(one) for one in file.servers.values()}
    return {**_origin(file), "told": told, "faults": faults, "figure": figure}


def night_content(file: SoakFile, figure: Figure) -> dict[str, Any]:
    """What the section 'A long night' shows."""
    told = {one.label: soak_sentences(one) for one in file.servers.values()}
    return {**_origin(file), "told": told, "figure": figure}


def _origin(file: ResilienceFile | SoakFile) -> dict[str, Any]:
    """When, of which model and by which command."""
    return {
        "date": file.date.isoformat(),
        "model": f"{file.workload} v{file.version}",
        "launcher": file.launcher.get("launcher", "unknown"),
        "command": shlex.join(file.command),
    }


def render_fire(fire: tuple[ResilienceFile, Figure] | None, night: tuple[SoakFile, Figure] | None) -> str:
    """The page of a resilience.json or a soak that lies beside no comparison; one of them is there."""
    (file, _), *_ = there = [one for one in (fire, night) if one]
    return render(
        "resilience.html.j2",
        [figure for _, figure in there],
        file=file,
        labels=[one.label for one in file.servers.values()],
        fire=fire_content(*fire) if fire else None,
        night=night_content(*night) if night else None,
    )


def _setup(document: Document) -> dict[str, Any]:
    """What the section on the ease of setup shows beside the time line."""
    assert document.setup is not None
    measured = document.setup
    return {
        "date": measured.date.isoformat(),
        "model": measured.workload.name,
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


def _commands(results: Results) -> list[str]:
    models = dict.fromkeys(one.workload.name for one in results.comparisons.values())
    command = results.documents[0].comparison.command
    return [*(f"python -m models build {model}" for model in models), "loadtest " + shlex.join(command)]


def _took(results: Results) -> str:
    """How long the comparisons took, where that is known."""
    took = sum(one.took_s for one in results.comparisons.values())
    return "" if math.isnan(took) else f"{max(took / 60, 1):,.0f} minute{'s' if took >= 90 else ''}"
