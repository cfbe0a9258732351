"""The exports of a model as a Markdown table, and below it what was said where something was refused."""

import statistics
from collections.abc import Sequence

from devices.all_exports import INT8
from devices.finding import Finding, Findings

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


def render(findings: Findings) -> str:
    """Three parts: a row for each export, how it was measured, and a line for each thing that was refused."""
    classes = any(one.right and one.right.examples for one in findings.exports)
    columns: tuple[str, ...] = (*COLUMNS, "accuracy" if classes else "smallest cosine to the reference", *LAST)
    if any(one.lengths for one in findings.exports):
        columns = (*columns, "lengths")
    lines = [f"| {' | '.join(columns)} |", f"| :--- |{' ---: |' * (len(columns) - 1)}"]
    by_name = {one.name: one for one in findings.exports}
    lines += [f"| {' | '.join(_cells(one, by_name)[: len(columns)])} |" for one in findings.exports]
    notes = [f"- {one.title}: {one.refused or one.wrong}" for one in findings.exports if one.refused or one.wrong]
    return "\n".join([*lines, "", _told(findings), *([""] if notes else []), *notes]) + "\n"


def _told(findings: Findings) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in findings.versions.items())
    told = (
        f"Measured on {findings.date} by `{findings.command}`: {findings.workload} v{findings.version}, "
        f"one instance a pass, on one core of {findings.machine}; {versions}."
    )
    if examples := max((one.right.examples for one in findings.exports if one.right), default=0):
        told += (
            f" Accuracy: of {examples:,} examples; those that an int8 export was calibrated with are others, made of "
            "the same held-out data."
        )
    if any(len(one.rounds) > 1 for one in findings.exports):
        told += " The median of the rounds, with the range."
    return told


def _cells(one: Finding, by_name: dict[str, Finding]) -> list[str]:
    peaks = [each.peak_bytes for each in one.rounds if each.peak_bytes]
    return [
        one.title,
        f"{one.made.bytes / MIB:.2f}" if one.made else "refused",
        spread([each.load_s for each in one.rounds]),
        spread([each.forward_ms for each in one.rounds]),
        "1" if one.on_server else spread(ratios(one, by_name[one.framework])),
        f"{max(peaks) / MIB:,.0f}" if peaks else "-",
        "-" if one.right is None else f"**{one.right.difference:.1e}**" if one.wrong else f"{one.right.difference:.1e}",
        _goodness(one, by_name.get(one.name.removesuffix(INT8))),
        f"{one.made.seconds:.1f}" if one.made and one.made.seconds is not None else "-",
        _count(one.export_lines),
        _count(one.run_lines),
        one.lengths or "-",
    ]


def ratios(one: Finding, server: Finding) -> list[float]:
    """How long an export takes beside the form of its framework that the servers load, in each round."""
    return [mine.forward_ms / its.forward_ms for mine, its in zip(one.rounds, server.rounds, strict=False)]


def spread(values: Sequence[float]) -> str:
    """The median, and behind it the smallest and the largest value where there are several."""
    if not values:
        return "-"
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g} to {max(values):.3g})"


def _goodness(one: Finding, whole: Finding | None) -> str:
    """The accuracy or the smallest cosine; of a quantised export beside that of the same one without quantisation."""
    told = _figure(one)
    if one.int8 and whole is not None and told != "-" and _figure(whole) != "-":
        return f"{told} (float32: {_figure(whole)})"
    return told


def _figure(one: Finding) -> str:
    figure = None if one.right is None else one.right.accuracy if one.right.accuracy is not None else one.right.cosine
    return "-" if figure is None else f"{figure:.4f}"


def _count(lines: int | None) -> str:
    return "-" if lines is None else str(lines)
