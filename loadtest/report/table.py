"""The comparison as one table, for report.md and for the page, and what a reader of it must know."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from loadtest.judge.capacity_result import Capacity
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import OVERLOAD, REQUESTS_FAILED, TAKEN_AGAIN, Finding
from loadtest.judge.run_result import RunResult
from loadtest.judge.server_result import ServerResult
from loadtest.judge.summary import SummaryRow
from loadtest.report.answer import ESTABLISHED, listed
from loadtest.report.forms import by_form
from loadtest.report.missing import missing, sittings
from loadtest.report.reading import span
from loadtest.report.wording import words


@dataclass(frozen=True)
class Measure:
    """A line of the table.

    Attributes:
        title: With its unit.
        cell: The text for one server's row of the summary.
    """

    title: str
    cell: Callable[[SummaryRow], str]


def _spanned(title: str, name: str, digits: int) -> Measure:
    return Measure(title, lambda row: span(getattr(row, name), digits))


MEASURES = (
    _spanned("response time p50, ms", "p50_ms", 2),
    _spanned("response time p95, ms", "p95_ms", 2),
    _spanned("response time p99, ms", "p99_ms", 2),
    _spanned("answered per second", "throughput_rps", 0),
    _spanned("closed-loop ceiling per second", "ceiling_rps", 0),
    _spanned("CPU seconds per 1,000 at the ceiling", "cpu_s_per_1000_at_ceiling", 2),
    _spanned("CPU seconds per 1,000 at the common rate", "cpu_s_per_1000_at_common_rate", 2),
    _spanned("peak memory, MiB", "peak_mib", 0),
    _spanned("start to first answer, s", "first_prediction_s", 1),
    Measure("failed requests", lambda row: f"{row.failed:,} of {row.requests:,}" if row.requests else "—"),
)


def cells(result: ComparisonResult) -> list[list[str]]:
    """The table: a header, then a line for each measure, and the capacities where they were searched."""
    rows = result.summary
    labels = result.names
    return [
        ["", *(labels[row.key] for row in rows)],
        *([measure.title, *(measure.cell(row) for row in rows)] for measure in MEASURES),
        *_capacities(result),
    ]


def _capacities(result: ComparisonResult) -> list[list[str]]:
    found = {server.key: server.capacity for server in result.servers if server.capacity}
    if not found:
        return []
    objective = next(iter(found.values())).objective.partition(",")[0]
    told = [_capacity(found.get(row.key)) for row in result.summary]
    return [[f"capacity at {objective}, per second", *told]]


def _capacity(found: Capacity | None) -> str:
    if found is None:
        return "—"
    return ("at least " if found.bounded_by_client else "") + span(found.estimate_rps, 0)


def remarks(result: ComparisonResult) -> list[str]:
    """What a reader of the table must know: faults, findings, ties and facts."""
    labels = result.names
    lines = [] if result.complete else ["INCOMPLETE: the comparison was ended before its last round"]
    lines += [f"missing: {lacks}" for lacks in missing(result)]
    for server in result.servers:
        verdicts = [run.verdict for _, run in server.runs]
        invalid = [verdict.reasons[0] for verdict in verdicts if not verdict.valid]
        label = labels[server.key]
        lines += [f"{label}: {words(fault)}" for fault in server.faults]
        if invalid:
            lines.append(f"{label}: {len(invalid)} of {len(verdicts)} runs INVALID and left out: {words(invalid[0])}")
    return lines + notes(result)


def notes(result: ComparisonResult) -> list[str]:
    """The remarks that are not about validity."""
    labels = result.names
    facts = {server.server_key: server.facts for server in result.servers if server.facts}
    lines = [f"{result.server_names[key]}: {told}" for key, told in facts.items()]
    for key, name in result.server_names.items():
        silent = [wire for wire in result.wires if wire not in {one.wire for one in result.over(key)}]
        lines += [f"{name} does not speak {listed(silent)}"] if silent else []
    lines += [f"{labels[server.key]}: {words(server.caching.finding)}" for server in result.servers if server.caching]
    for server in result.servers:
        lines += [f"{labels[server.key]}: {told}" for told in _gate_and_warmups(server, result.plan.warmup_s)]
        tried = [run for one in server.rounds for run in (one.open_loop, one.closed_loop)]
        told = [words(finding) for run in tried for finding in _warnings(run)]
        if told:
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            lines.append(f"{labels[server.key]}: {told[0]}{more}")
        unsteady = _unsteady(server)
        if unsteady:
            lines.append(f"{labels[server.key]}: {unsteady}")
    again = sum(
        finding.code == TAKEN_AGAIN
        for server in result.servers
        for _, run in server.runs
        for finding in run.verdict.findings
    )
    if again:
        tries = "1 try was" if again == 1 else f"{again} tries were"
        lines.append(f"{tries} spoiled by the client or the machine, thrown away and taken again")
    lines += _ties(result, labels)
    placement = result.placement
    if not (placement.server and placement.client):
        lines.append("nothing was pinned: client and server shared the cores")
    lines += result.launcher.get("remarks", [])
    lines += sittings(result)
    if result.plan.rounds < ESTABLISHED:
        lines.append("fewer than three rounds: no intervals, so no difference here is established")
    return lines


def _ties(result: ComparisonResult, labels: dict[str, str]) -> list[str]:
    """Established ties, a line for each measure."""
    lines = []
    parts = [part for _, part in by_form(result)]
    for measure in dict.fromkeys(versus.measure for versus in result.ratios):
        pairs = [versus for part in parts for versus in part.ratios if versus.measure == measure]
        ties = [versus for versus in pairs if versus.tie and not math.isnan(versus.ratio.low)]
        if len(ties) == len(pairs) > 1:
            lines.append(f"ties in {measure}: every two servers")
        elif ties:
            both = "; ".join(f"{labels[versus.one]} and {labels[versus.two]}" for versus in ties)
            lines.append(f"ties in {measure}: {both}")
    return lines


def _warnings(run: RunResult) -> list[Finding]:
    return [finding for finding in run.verdict.findings if finding.code in (*OVERLOAD, REQUESTS_FAILED)]


def _gate_and_warmups(server: ServerResult, bound_s: float) -> Iterator[str]:
    """What was not as it should have been before the runs that are told."""
    gate = server.gate
    if gate and not gate.verdict.valid and not server.faults:
        yield f"its gate was spoiled, and the rates that rest on it are low: {words(gate.verdict.reasons[0])}"
    warmups = [run.warmup for _, run in server.runs if run.warmup]
    cut = sum(warmup.steady is False for warmup in warmups)
    if cut:
        yield (f"{cut} of {len(warmups)} warm-ups ended at their bound of {bound_s:g} s, before the server was steady")


def _unsteady(server: ServerResult) -> str:
    """What a reader must know of a server that was still warming up, or went on changing, while it was timed."""
    runs = [one.open_loop for one in server.valid_rounds]
    changed = [run for run in runs if run.steady_from_s != 0]
    if not changed:
        return ""
    late = [run.steady_from_s for run in changed if run.steady_from_s]
    never = len(changed) - len(late)
    since = [f"from {max(late):.1f} s on at the latest"] if late else []
    since += [f"{never} never"] if never else []
    if all(run.warmup and run.warmup.steady for run in changed):
        advice = "the warm-up had left it steady, so it or the machine changed: longer rounds (--duration) tell more"
    else:
        advice = "a longer --warmup leaves out how a server warms up"
    return (
        f"{len(changed)} of {len(runs)} runs at the common rate were not steady from the start "
        f"({', '.join(since)}): {advice}"
    )


def markdown_table(result: ComparisonResult) -> str:
    """The table for report.md."""
    header, *lines = cells(result)
    return markdown_rows(header, lines)


def markdown_rows(header: Sequence[str], lines: Sequence[Sequence[str]], text_columns: Collection[int] = (0,)) -> str:
    """A table in Markdown.

    Args:
        header: Titles of the columns.
        lines: A cell for each column.
        text_columns: Indices of the columns that are aligned to the left; the others hold numbers.
    """
    rule = "|" + "".join(" :--- |" if index in text_columns else " ---: |" for index in range(len(header)))
    return "\n".join([_line(header), rule, *map(_line, lines)])


def _line(line: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
