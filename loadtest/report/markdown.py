"""report.md: the comparison for a reader of the repository."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.report.answer import Validity, answer, conditions, validity, why_apart
from loadtest.report.exports_table import markdown_exports
from loadtest.report.figure import Figure, Table
from loadtest.report.figures import Drawn, setup_effort
from loadtest.report.headline import ease_of_setup, headline, speed
from loadtest.report.model_wording import model_sentences
from loadtest.report.reading import Document, Results
from loadtest.report.server_times import cross_check
from loadtest.report.setup_wording import answer_of, qualification_of
from loadtest.report.table import markdown_rows, markdown_table, remarks
from loadtest.servers.model_record import MODEL, ModelRecord
from loadtest.setup.probes.capability import CapabilityCell

SHOWN = ("load", "percentiles", "overhead", "layers", "wires", "cost")
"""Figures of the page whose pictures report.md carries, beside the first one."""


def render(results: Results, drawn: Drawn | None = None, pictures: Mapping[str, Sequence[str]] | None = None) -> str:
    """The text of report.md.

    Args:
        results: The comparisons, and the ease of setup where it was measured.
        drawn: Their figures.
        pictures: Paths of the pictures by the key of their figure, relative to report.md.
    """
    drawn, paths = drawn or Drawn(), pictures or {}
    first = results.documents[0].comparison
    sections = [
        f"# Serving comparison, {first.started_at}",
        "\n".join(
            [
                *(f"- {remark}" for remark in results.remarks),
                *(f"- {name} was not measured: {reason}" for name, reason in results.unmeasured.items()),
            ]
        ),
    ]
    if len(results.documents) == 1:
        (document,) = results.documents
        sections += [_answer(document, headline(document)), *_details(document, drawn.of.get(document.name, {}), paths)]
    else:
        answers = {one.name: _answer(one, speed(one)) for one in results.documents}
        if results.with_setup:
            answers["Ease of setup"] = "\n".join(f"- {sentence}" for sentence in ease_of_setup(results.with_setup))
        sections += [f"## The answer: {name}\n\n{text}" for name, text in answers.items() if text]
        sections += [_figure(figure, paths.get(figure.key, ())) for figure in drawn.across]
        for one in results.documents:
            details = _details(one, drawn.of.get(one.name, {}), paths)
            sections += [
                f"## {one.name}",
                why_apart(one.comparison),
                *(re.sub(r"^##", "###", part) for part in details),
            ]
    if results.resilience and drawn.fire:
        sections += under_fire(drawn.fire, paths.get(drawn.fire.key, ()), "Under fire")
    if results.soak and drawn.night:
        sections += under_fire(drawn.night, paths.get(drawn.night.key, ()), "A long night")
    if results.with_setup:
        sections += [_figure(drawn.setup, paths.get(drawn.setup.key, ()))] if drawn.setup else []
        sections += _ease_of_setup(results.with_setup)
    sections += [_model(one) for one in results.models.values()]
    for name, exported in results.exported.items():
        sections.append(f"## Beyond servers: {name}\n\n{markdown_exports(exported).rstrip()}")
    sections += [
        f"`loadtest {shlex.join(first.command)}`",
        "Everything else, each round's distributions and the configuration that each server reported included, stands "
        "in result.json beside this file; report.html shows it.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _model(record: ModelRecord) -> str:
    """The section on a model."""
    facts = record.facts
    told = "\n".join(f"- {about}: {text}" for about, text in model_sentences(record).items())
    pictures = "\n".join(f"![{one.title}]({MODEL}/{facts.workload}/{one.file})" for one in facts.pictures)
    return f"## The model: {facts.workload} v{facts.version}\n\n{told}\n\n{pictures}".rstrip()


def _answer(document: Document, sentences: Sequence[str]) -> str:
    told = "\n".join(f"- {sentence}" for sentence in sentences)
    apart = f"{text}\n\n" if (text := why_apart(document.comparison)) else ""
    return f"{apart}{told}\n\nConditions: {conditions(document.comparison)}."


def _details(document: Document, figures: Mapping[str, Figure], paths: Mapping[str, Sequence[str]]) -> list[str]:
    """The sections on one comparison below its answer."""
    result = document.comparison
    overview = figures.get("overview")
    shown = [figures[kind] for kind in SHOWN if kind in figures]
    return [
        _figure(overview, paths.get(overview.key, ()), told=True) if overview else "",
        " ".join(answer(result)),
        markdown_table(result),
        "Square brackets hold 95 % intervals over the rounds. A failed request is slower than any answer. Response "
        "times run from the intended send of each request; the ceiling is the throughput of a closed loop. Every "
        "answer was compared with the golden one. Peak memory is the sum of each process's own peak.",
        *(_figure(figure, paths.get(figure.key, ())) for figure in shown),
        *(numbers(table) for table in (figures["layers"].tables if "layers" in figures else ())),
        _cross_check(result),
        bullets("What to know", remarks(result)),
        bullets("Parity before speed", [f"{one.label}: {one.parity}" for one in validity(result)]),
        bullets("Verdicts", [line for one in validity(result) for line in _verdict_lines(one)]),
        bullets("Machine and versions", environment(result)),
    ]


def _figure(figure: Figure, paths: Sequence[str], *, told: bool = False) -> str:
    images = "\n".join(
        f"![{panel.title}: {figure.finding}]({path})" for panel, path in zip(figure.panels, paths, strict=True)
    )
    finding = "" if told else f"{figure.finding}\n\n"
    return f"## {figure.title}\n\n{finding}{images}\n\n{figure.note}".rstrip()


def _cross_check(result: ComparisonResult) -> str:
    found = cross_check(result)
    if found is None:
        return ""
    titles = [column.title for column in found.table.columns]
    told = "\n".join(f"- {remark}" for remark in found.remarks)
    return f"## {found.title}\n\n{markdown_rows(titles, found.table.texts, (0, 1))}\n\n{found.note}\n\n{told}".rstrip()


def numbers(table: Table) -> str:
    """The numbers of a figure."""
    return markdown_rows([column.title for column in table.columns], table.texts)


def under_fire(figure: Figure, paths: Sequence[str], title: str) -> list[str]:
    """A section on what was tried out under fire, or in a long night."""
    tables = [f"### {table.title}\n\n{numbers(table)}" for table in figure.tables]
    return [_figure(replace(figure, title=title), paths), *tables]


def _ease_of_setup(document: Document) -> list[str]:
    """What was counted and tried out, as tables, and what was looked up."""
    sections = []
    for table in setup_effort.counted(document):
        rows = [[str(cell) for cell in row] for row in table.rows]
        sections.append(f"### {table.title}\n\n" + markdown_rows([column.title for column in table.columns], rows))
    tried = [
        [one.title, *(_tried(cell) if cell else "—" for _, cell in one.cells)]
        for one in setup_effort.capabilities(document)
    ]
    if tried:
        header = ["", *setup_effort.labels_of(document).values()]
        sections.append("### Capabilities, tried out\n\n" + markdown_rows(header, tried))
        sections += [f"{line}." for line in setup_effort.stand_ins(document)]
    looked_up = [
        f"{label}, {fact.name}: {fact.text} ({fact.date}: {fact.source})"
        for label, fact in setup_effort.facts(document)
    ]
    return [
        *sections,
        bullets("Looked up, since it cannot be measured", looked_up),
        bullets("Faults", setup_effort.faults(document)),
    ]


def _tried(cell: CapabilityCell) -> str:
    """The answer, and what it was tried with."""
    qualified = qualification_of(cell)
    return answer_of(cell) + (f" ({qualified})" if qualified else "")


def bullets(title: str, lines: Sequence[str]) -> str:
    """A section that is a list; nothing where there are no lines."""
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _verdict_lines(found: Validity) -> list[str]:
    if not found.total:
        return []
    lines = [f"{found.label}: {found.valid} of {found.total} runs valid"]
    return lines + [f"{found.label}, INVALID: {reason}" for reason in found.reasons]


def environment(result: ComparisonResult) -> list[str]:
    """What it was measured on, and with what, one line each."""
    host, workload, placement = result.host, result.workload, result.placement
    versions = ", ".join(f"{name} {version}" for name, version in sorted(workload.versions.items()))
    client = ", ".join(f"{name} {version}" for name, version in sorted(host.client_packages.items()))
    return [
        f"{host.cores} cores of {host.cpu}, {host.memory_gib} GiB, {host.system}"
        + (", virtual machine" if host.virtual else ""),
        f"server cores {placement.server or 'not pinned'}, client cores {placement.client or 'not pinned'}",
        f"model {workload.name} v{workload.version}, {workload.quality} {workload.quality_value:.4f}, "
        f"weights sha256 {workload.weights_sha256[:16]}…",
        f"built with {versions}",
        f"client: Python {host.python}, {client}",
        f"seed {result.plan.seed}",
    ]
