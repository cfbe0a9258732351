"""The exports of a model to phones and browsers as a table, and what is told below it."""

import statistics
from collections.abc import Collection, Mapping, Sequence

from loadtest.report.figure import Column, Table
from loadtest.report.table import markdown_rows
from loadtest.servers.exported_model import INT8, Exported, ExportedModel

MIB = 1024 * 1024
COLUMNS = (
    "export",
    "size, MiB",
    "load, s",
    "forward, ms",
    "of its framework's on the server",
    "peak memory, MiB",
    "largest difference",
)
LAST = ("export, s", "lines to export", "lines to run")


def exports_table(model: ExportedModel) -> Table:
    """A row for each form that the servers load, and for each export."""
    classes = any(one.right and one.right.examples for one in model.exports)
    titles: tuple[str, ...] = (*COLUMNS, "accuracy" if classes else "smallest cosine to the reference", *LAST)
    if any(one.lengths for one in model.exports):
        titles = (*titles, "lengths")
    by_name = {one.name: one for one in model.exports}
    rows = [_cells(one, by_name)[: len(titles)] for one in model.exports]
    return Table(f"{model.workload} v{model.version}", [Column(title) for title in titles], rows)


def exports_origin(model: ExportedModel) -> str:
    """How the table was measured. The command is in backticks."""
    versions = ", ".join(f"{name} {version}" for name, version in model.versions.items())
    told = (
        f"Measured on {model.date} by `{model.command}`: {model.workload} v{model.version}, "
        f"one instance a pass, on one core of {model.machine}; {versions}."
    )
    if examples := max((one.right.examples for one in model.exports if one.right), default=0):
        told += (
            f" Accuracy: of {examples:,} examples, none made of a held-out example that an int8 export was "
            "calibrated with."
        )
    if any(len(one.rounds) > 1 for one in model.exports):
        told += " The median of the rounds, with the range."
    return told


def exports_refused(model: ExportedModel) -> list[str]:
    """A line for each export that there is none of, or whose answers are wrong."""
    return [f"{one.title}: {one.refused or one.wrong}" for one in model.exports if one.refused or one.wrong]


def markdown_exports(model: ExportedModel, columns: Collection[str] | None = None) -> str:
    """The table, how it was measured, and what was refused, in Markdown.

    Args:
        model: What was found out.
        columns: Titles of those that are told; None for all.
    """
    table, refused = exports_table(model), [f"- {line}" for line in exports_refused(model)]
    titles = [column.title for column in table.columns]
    shown = [number for number, title in enumerate(titles) if columns is None or title in columns]
    rows = markdown_rows(
        [titles[number] for number in shown], [[row[number] for number in shown] for row in table.texts]
    )
    return "\n".join([rows.rstrip("\n"), "", exports_origin(model), *([""] if refused else []), *refused]) + "\n"


def _cells(one: Exported, by_name: Mapping[str, Exported]) -> list[str]:
    peaks = [each.peak_bytes for each in one.rounds if each.peak_bytes]
    return [
        one.title,
        f"{one.made.bytes / MIB:.2f}" if one.made else "refused",
        _spread([each.load_s for each in one.rounds]),
        _spread([each.forward_ms for each in one.rounds]),
        "1" if one.on_server else _spread(_ratios(one, by_name[one.framework])),
        f"{max(peaks) / MIB:,.0f}" if peaks else "-",
        "-" if one.right is None else f"{one.right.difference:.1e}",
        _goodness(one, by_name.get(one.name.removesuffix(INT8))),
        f"{one.made.seconds:.1f}" if one.made and one.made.seconds is not None else "-",
        _count(one.export_lines),
        _count(one.run_lines),
        one.lengths or "-",
    ]


def _ratios(one: Exported, server: Exported) -> list[float]:
    """How long an export takes beside the form of its framework that the servers load, in each round."""
    return [mine.forward_ms / its.forward_ms for mine, its in zip(one.rounds, server.rounds, strict=False)]


def _spread(values: Sequence[float]) -> str:
    """The median, and behind it the smallest and the largest value where there are several."""
    if not values:
        return "-"
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g} to {max(values):.3g})"


def _goodness(one: Exported, whole: Exported | None) -> str:
    """The accuracy or the smallest cosine; of a quantised export beside that of the same one without quantisation."""
    told = _figure(one)
    if one.int8 and whole is not None and told != "-" and _figure(whole) != "-":
        return f"{told} (float32: {_figure(whole)})"
    return told


def _figure(one: Exported) -> str:
    figure = None if one.right is None else one.right.accuracy if one.right.accuracy is not None else one.right.cosine
    return "-" if figure is None else f"{figure:.4f}"


def _count(lines: int | None) -> str:
    return "-" if lines is None else str(lines)
