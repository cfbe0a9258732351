"""Thresholds on a comparison, as a team writes them to gate a deployment: ``flask_server.p99<20ms``.

What is not known does not pass: a number that is missing since its runs are invalid or too short fails its threshold,
with that reason.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from loadtest.errors import UsageError
from loadtest.judge.intervals import Estimate, percentile_estimate
from loadtest.report.reading import Json, estimate, histogram, span, union, valid_rounds

TIME = {"us": 1e-3, "ms": 1.0, "s": 1e3}
RATE = {"/s": 1.0, "": 1.0}
MEMORY = {"MiB": 1.0, "GiB": 1024.0, "MB": 1e6 / 2**20, "GB": 1e9 / 2**20}
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(
    r"^\s*(?P<server>[\w:-]+)\.(?P<metric>p\d{1,2}(?:\.\d+)?|[a-z]+)\s*(?P<operator><=|>=|<|>)\s*"
    r"(?P<limit>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z%/]*)\s*$"
)


@dataclass(frozen=True)
class Metric:
    """What a threshold can be set on.

    Attributes:
        units: Units that it may be written in, with their size in the first one's terms.
        meaning: What it is.
        digits: Decimals in which it is told.
        unit: The unit in which it is told.
    """

    units: dict[str, float]
    meaning: str
    digits: int
    unit: str


PERCENTILE = Metric(TIME, "response time at the common rate", 2, "ms")
METRICS = {
    "throughput": Metric(RATE, "correct answers per second at the common rate", 0, "/s"),
    "ceiling": Metric(RATE, "closed-loop throughput", 0, "/s"),
    "capacity": Metric(RATE, "highest rate confirmed under the objective of --slo", 0, "/s"),
    "errors": Metric({"%": 1.0}, "share of requests at the common rate that failed", 3, "%"),
    "cpu": Metric({"s": 1.0, "ms": 1e-3}, "CPU seconds per 1,000 predictions at the common rate", 3, "s"),
    "memory": Metric(MEMORY, "peak memory", 0, "MiB"),
    "start": Metric({"s": 1.0, "ms": 1e-3}, "start to first correct prediction", 2, "s"),
}


@dataclass(frozen=True)
class Threshold:
    """One threshold.

    Attributes:
        text: As it was written.
        server: Server key.
        name: Name of the metric, such as ``p99``.
        operator: ``<``, ``<=``, ``>`` or ``>=``.
        limit: In the metric's own unit: ms, requests per second, %, s or MiB.
    """

    text: str
    server: str
    name: str
    operator: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> "Threshold":
        """Read ``SERVER.METRIC<LIMIT``.

        Raises:
            UsageError: If it is of another form, or its metric or unit is unknown.
        """
        found = _FORM.match(text)
        if found is None:
            raise UsageError(f"{text!r} is no threshold; write one like 'flask_server.p99<20ms'")
        name, unit = found["metric"], found["unit"]
        metric = _metric(name)
        if metric is None:
            raise UsageError(
                f"{text!r}: there is no metric {name!r}; there are: p50, p99 and the like, {', '.join(METRICS)}"
            )
        if unit not in metric.units:
            raise UsageError(f"{text!r}: {name} is written in {' or '.join(unit for unit in metric.units if unit)}")
        limit = float(found["limit"]) * metric.units[unit]
        return cls(text.strip(), found["server"], name, found["operator"], limit)

    @property
    def metric(self) -> Metric:
        """What it is set on."""
        return _metric(self.name) or PERCENTILE


@dataclass(frozen=True)
class Outcome:
    """Whether a comparison keeps a threshold.

    Attributes:
        threshold: The threshold.
        value: What was measured, with its interval; NaN where that is not known.
        reason: Why it is not known.
    """

    threshold: Threshold
    value: Estimate
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the value is known and on the right side of the limit."""
        return self.value.known and OPERATORS[self.threshold.operator](self.value.value, self.threshold.limit)

    def __str__(self) -> str:
        threshold, metric = self.threshold, self.threshold.metric
        told = span(self.value, metric.digits, f" {metric.unit}".replace(" /", "/").replace(" %", "%"))
        measured = f"measured {told}" if self.value.known else f"not known: {self.reason}"
        return f"{'passed' if self.passed else 'FAILED'}: {threshold.text} ({measured})"


def read_thresholds(texts: Sequence[str], servers: Collection[str], *, searched: bool) -> list[Threshold]:
    """Read thresholds and check them against what will be, or was, measured.

    Args:
        texts: As they were written; empty ones and comments (``#``) are left out.
        servers: Keys of the servers of the comparison.
        searched: Whether it searches capacities.

    Raises:
        UsageError: If one cannot be read, or asks for what the comparison does not measure.
    """
    found = []
    for text in texts:
        bare = text.partition("#")[0].strip()
        if not bare:
            continue
        threshold = Threshold.parse(bare)
        if threshold.server not in servers:
            raise UsageError(f"{bare!r}: {threshold.server} is not in this comparison; there are: {', '.join(servers)}")
        if threshold.name == "capacity" and not searched:
            raise UsageError(f"{bare!r}: capacities are only searched with --slo, such as --slo 'p99<50ms'")
        found.append(threshold)
    return found


def judge(thresholds: Sequence[Threshold], document: Json) -> list[Outcome]:
    """Hold a comparison against thresholds, in their order."""
    servers = {server["key"]: server for server in document["servers"]}
    rows = {row["key"]: row for row in document["summary"]}
    outcomes = []
    for threshold in thresholds:
        value = _value(threshold.name, servers[threshold.server], rows[threshold.server])
        reason = "" if value.known else _reason(threshold.name, servers[threshold.server])
        outcomes.append(Outcome(threshold, value, reason))
    return outcomes


def junit(outcomes: Sequence[Outcome], name: str = "loadtest") -> str:
    """The outcomes in the XML that continuous integration reads from JUnit: a suite with a case for each threshold."""
    failed = sum(not outcome.passed for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts})
    for outcome in outcomes:
        threshold = outcome.threshold
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": threshold.server, "name": threshold.text, "time": "0"}
        )
        if not outcome.passed:
            kind = "threshold" if outcome.value.known else "unknown"
            ElementTree.SubElement(case, "failure", {"type": kind, "message": str(outcome)}).text = str(outcome)
        ElementTree.SubElement(case, "system-out").text = f"{outcome}\n{threshold.metric.meaning}"
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _metric(name: str) -> Metric | None:
    is_percentile = name[:1] == "p" and name[1:].replace(".", "").isdigit() and float(name[1:]) > 0
    return PERCENTILE if is_percentile else METRICS.get(name)


def _value(name: str, server: Json, row: Json) -> Estimate:
    if name in ("throughput", "ceiling"):
        return estimate(row[f"{name}_rps"])
    if name == "capacity":
        return _single(_capacity(server))
    if name == "errors":
        return _single(100 * row["failed"] / row["requests"] if row["requests"] else math.nan)
    columns = {"cpu": "cpu_s_per_1000", "memory": "peak_mib", "start": "first_prediction_s"}
    if name in columns:
        return estimate(row[columns[name]])
    return percentile_estimate([histogram(one["open_loop"]) for one in valid_rounds(server)], float(name[1:]))


def _single(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan)


def _capacity(server: Json) -> float:
    found = server["capacity"]
    return math.nan if found is None else float(found["rate_rps"])


def _reason(name: str, server: Json) -> str:
    """Why a number is missing, in plain words."""
    faults: list[str] = server["faults"]
    if not server["rounds"] or (name == "capacity" and faults):
        return faults[0] if faults else "no round was run"
    if name == "capacity":
        return "no capacity was searched"
    kind = "closed_loop" if name in ("ceiling", "memory") else "open_loop"
    runs: list[dict[str, Any]] = [one[kind] for one in server["rounds"]]
    reasons = [reason for run in runs for reason in run["verdict"]["reasons"]]
    valid = valid_rounds(server, kind)
    if not valid:
        return f"every run is INVALID: {reasons[0]}" if reasons else "no run is valid"
    if name.startswith("p"):
        answers = union([histogram(one[kind]) for one in valid]).count
        return f"{answers:,} answers are too few for {name}; measure longer, or more rounds"
    return "it could not be read"
