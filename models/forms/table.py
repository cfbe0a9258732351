"""The forms of a model as a Markdown table, and below it what was said where something was refused."""

import statistics
from collections.abc import Sequence

from models.forms.finding import REFUSED, WRONG, Answered, Calls, Finding, Findings

MIB = 1024 * 1024
BATCHES = (1, 8, 32)
COLUMNS = (
    "form",
    "C++ compiler",
    "build, s",
    "size, MiB",
    "import, s",
    "then first answer, s",
    *(f"forward, batch {batch}, ms" for batch in BATCHES),
    "peak memory, MiB",
    "largest difference",
    "batch sizes",
    "print, calls",
    "breakpoint, calls",
    "`if` over the input",
)


def render(findings: Findings) -> str:
    """Two parts: a row for each form, and a line for each thing that was refused or answered wrongly."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|" + "---:|" * 9 + "---|" * 4]
    lines += [f"| {' | '.join(_cells(form))} |" for form in findings.forms]
    notes = [f"- {form.title}: {note}" for form in findings.forms for note in _notes(form)]
    versions = ", ".join(f"{name} {version}" for name, version in findings.versions.items())
    told = (
        f"Measured on {findings.date} by `{findings.command}`: {findings.workload} v{findings.version} "
        f"on one thread of {findings.machine}; {versions}."
    )
    if any(len(form.rounds) > 1 for form in findings.forms):
        told += " The median of the rounds, with the range."
    return "\n".join([*lines, "", told, *([""] if notes else []), *notes]) + "\n"


def _cells(form: Finding) -> list[str]:
    built, answered = form.built, form.answered
    return [
        form.title,
        _compiler(form),
        f"{built.seconds:.2f}" if built else "refused",
        f"{built.bytes / MIB:.2f}" if built else "-",
        _spread([one.import_s for one in form.rounds]),
        _spread([one.first_answer_s for one in form.rounds]) if answered or not built else "refused",
        *(_time(form.rounds, batch) for batch in BATCHES),
        f"{max(one.peak_bytes for one in form.rounds) / MIB:.0f}" if answered else "-",
        _difference(answered),
        _sizes(answered),
        *((_reached(form.probes.prints), _reached(form.probes.breakpoints)) if form.probes else ("-", "-")),
        _branch(form),
    ]


def _compiler(form: Finding) -> str:
    if form.compiler_to_build:
        return "to build"
    if form.compiler_to_run:
        return "to run"
    return "no" if form.answered else "-"


def _time(rounds: Sequence[Answered], batch: int) -> str:
    return _spread([one.p50_ms for answered in rounds for one in answered.timings if one.batch == batch])


def _spread(values: Sequence[float]) -> str:
    """The median, and behind it the smallest and the largest value where there are several."""
    if not values:
        return "-"
    middle = _digits(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_digits(min(values))} to {_digits(max(values))})"


def _digits(value: float) -> str:
    """Three digits, or the whole number where it has more."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _difference(answered: Answered | None) -> str:
    if answered is None:
        return "-"
    return "**wrong**" if answered.difference is None else f"{answered.difference:.1e}"


def _sizes(answered: Answered | None) -> str:
    if answered is None or answered.difference is None:
        return "-"
    faults = [str(size) for size, fault in answered.batches.items() if fault]
    return f"not {', '.join(faults)}" if faults else "any tried"


def _reached(calls: Calls) -> str:
    if calls.refused:
        return "refused"
    return f"{sum(map(bool, calls.each))} of {len(calls.each)}"


def _branch(form: Finding) -> str:
    if form.probes is None:
        return "-"
    branch = form.probes.branch
    if branch.outcome == REFUSED:
        return f"refused at {'the build' if branch.when == 'build' else 'the call'}"
    return f"**{branch.outcome}**" if branch.outcome == WRONG else branch.outcome


def _notes(form: Finding) -> list[str]:
    notes = [f"refused: {form.refused}"] if form.refused else []
    if form.without_compiler:
        notes.append(f"without a compiler: {form.without_compiler}")
    if form.answered:
        if form.answered.difference is None:
            notes.append(f"wrong: {form.answered.fault}")
        else:
            notes += [f"batch {size}: {fault}" for size, fault in form.answered.batches.items() if fault]
    if form.probes:
        for what, calls in (("print", form.probes.prints), ("breakpoint", form.probes.breakpoints)):
            if calls.refused:
                notes.append(f"{what} refused: {calls.refused}")
        if form.probes.branch.reason:
            notes.append(f"`if` over the input refused: {form.probes.branch.reason}")
    return notes
