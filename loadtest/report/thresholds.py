"""Thresholds on a comparison, as a team writes them to gate a deployment: ``flask_server.p99<20ms``.

Where a result holds several comparisons, a threshold names one: ``imagenet/flask_server.p99<80ms``.

What is not known does not pass: a number that is missing since its runs are invalid or too short fails its threshold,
with that reason.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from loadtest.errors import UsageError
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.condition import Condition
from loadtest.judge.intervals import NOT_KNOWN, Estimate, percentile_estimate
from loadtest.judge.samples import needed
from loadtest.judge.server_result import ServerResult
from loadtest.judge.summary import SummaryRow
from loadtest.report.reading import Results, span
from loadtest.report.wording import words

EXAMPLE = "flask_server.p99<20ms"


@dataclass(frozen=True)
class ThresholdOutcome:
    """Whether a comparison keeps a threshold.

    Attributes:
        threshold: The threshold: a condition on one server.
        value: What was measured, with its interval; NaN where that is not known.
        reason: Why it is not known.
    """

    threshold: Condition
    value: Estimate
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the value is known and on the right side of the limit."""
        return self.value.known and self.threshold.holds(self.value.value)

    def __str__(self) -> str:
        threshold, metric = self.threshold, self.threshold.metric
        told = span(self.value, metric.digits, f" {metric.unit}".replace(" /", "/").replace(" %", "%"))
        measured = f"measured {told}" if self.value.known else f"not known: {self.reason}"
        return f"{'passed' if self.passed else 'FAILED'}: {threshold.text} ({measured})"


def read_thresholds(
    texts: Sequence[str], compared: Mapping[str, Collection[str]], *, searched: bool
) -> list[Condition]:
    """Read thresholds and check them against what will be, or was, measured.

    Args:
        texts: As they were written; empty ones and comments (``#``) are left out.
        compared: Keys of the servers that are compared, by the names of the comparisons.
        searched: Whether capacities are searched.

    Returns:
        Conditions on one server of one comparison: where only one holds the server, none has to name it.

    Raises:
        UsageError: If one cannot be read, or asks for what is not measured.
    """
    found = []
    for text in texts:
        bare = text.partition("#")[0].strip()
        if not bare:
            continue
        threshold = Condition.parse(bare, called="threshold", example=EXAMPLE)
        if not threshold.server:
            raise UsageError(f"{bare!r} is no threshold; write one like {EXAMPLE!r}")
        holding = [name for name, servers in compared.items() if threshold.server in servers]
        names = [threshold.comparison] if threshold.comparison else holding or list(compared)
        if len(names) > 1:
            example = f"{names[0]}/{bare}"
            raise UsageError(f"{bare!r} names none of the comparisons {', '.join(names)}: write {example!r}")
        if names[0] not in compared:
            raise UsageError(f"{bare!r}: no comparison is called {names[0]}; there are: {', '.join(compared)}")
        if threshold.server not in (servers := compared[names[0]]):
            raise UsageError(f"{bare!r}: {threshold.server} is not in this comparison; there are: {', '.join(servers)}")
        if threshold.name == "capacity" and not searched:
            raise UsageError(f"{bare!r}: capacities are only searched with --slo, such as --slo 'p99<50ms'")
        found.append(replace(threshold, comparison=names[0]))
    return found


def check_thresholds(thresholds: Sequence[Condition], results: Results) -> list[ThresholdOutcome]:
    """Hold comparisons against thresholds, in their order."""
    return [_check(one, results.comparisons.get(one.comparison), results) for one in thresholds]


def _check(threshold: Condition, result: ComparisonResult | None, results: Results) -> ThresholdOutcome:
    if result is None:
        return ThresholdOutcome(threshold, NOT_KNOWN, results.unmeasured[threshold.comparison])
    server = result.of(threshold.server)
    # A file may hold a comparison without a summary.
    rows = [row for row in result.summary if row.key == threshold.server]
    value = _value(threshold.name, server, rows[0]) if rows else NOT_KNOWN
    return ThresholdOutcome(threshold, value, "" if value.known else _reason(threshold.name, server))


def junit(outcomes: Sequence[ThresholdOutcome], name: str = "loadtest") -> str:
    """The outcomes in the XML that continuous integration reads from JUnit: a suite with a case for each threshold."""
    failed = sum(not outcome.passed for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts})
    for outcome in outcomes:
        threshold = outcome.threshold
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": f"{threshold.comparison}.{threshold.server}", "name": threshold.text, "time": "0"},
        )
        if not outcome.passed:
            kind = "threshold" if outcome.value.known else "unknown"
            ElementTree.SubElement(case, "failure", {"type": kind, "message": str(outcome)}).text = str(outcome)
        ElementTree.SubElement(case, "system-out").text = f"{outcome}\n{threshold.metric.meaning}"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _value(name: str, server: ServerResult, row: SummaryRow) -> Estimate:
    columns = {
        "p50": row.p50_ms,
        "p95": row.p95_ms,
        "p99": row.p99_ms,
        "throughput": row.throughput_rps,
        "ceiling": row.ceiling_rps,
        "cpu": row.cpu_s_per_1000_at_ceiling,
        "memory": row.peak_mib,
        "start": row.first_prediction_s,
    }
    if name in columns:
        return columns[name]
    if name == "capacity":
        return _single(server.capacity.rate_rps if server.capacity else math.nan)
    if name == "errors":
        return _single(100 * row.failed / row.requests if row.requests else math.nan)
    return percentile_estimate([one.open_loop.response_times for one in server.valid_rounds], float(name[1:]))


def _single(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan)


def _reason(name: str, server: ServerResult) -> str:
    """Why a number is missing."""
    if not server.rounds or (name == "capacity" and server.faults):
        return words(server.faults[0]) if server.faults else "no round was run"
    if name == "capacity":
        return "no capacity was searched"
    closed = name in ("ceiling", "memory", "cpu")
    runs = [one.closed_loop if closed else one.open_loop for one in server.rounds]
    reasons = [reason for run in runs for reason in run.verdict.reasons]
    if not any(run.verdict.valid for run in runs):
        return f"every run is INVALID: {words(reasons[0])}" if reasons else "no run is valid"
    if name.startswith("p"):
        most = max(one.open_loop.requests.scheduled for one in server.valid_rounds)
        least = needed(float(name[1:]))
        return f"{most:,} requests a round are too few for {name}, which needs {least:,}; measure longer"
    return "it could not be read"
