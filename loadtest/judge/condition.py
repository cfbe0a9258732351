"""Conditions as people write them: ``p99<50ms``, ``flask_server.memory<=1GiB``, ``imagenet/flask_server.p99<80ms``.

One grammar and one table of units for the objective of a capacity search and for the thresholds of a comparison.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.errors import UsageError

TIME_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
TIME_S = {"s": 1.0, "ms": 1e-3}
RATE = {"/s": 1.0, "": 1.0}
PERCENT = {"%": 1.0}
MEMORY_MIB = {"MiB": 1.0, "GiB": 1024.0, "MB": 1e6 / 2**20, "GB": 1e9 / 2**20}
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(
    r"^\s*(?:(?:(?P<comparison>[\w@-]+)/)?(?P<server>[\w:+-]+)\.)?"
    r"(?P<metric>p\d{1,2}(?:\.\d+)?|[a-z]+)\s*(?P<operator><=|>=|<|>)\s*"
    r"(?P<limit>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z%/]*)\s*$"
)


@dataclass(frozen=True)
class Metric:
    """What a condition can be set on.

    Attributes:
        units: Units that it may be written in, with their size in the terms of `unit`.
        meaning: What it is.
        digits: Decimals in which it is told.
        unit: The unit in which it is told.
    """

    units: dict[str, float]
    meaning: str
    digits: int
    unit: str


PERCENTILE = Metric(TIME_MS, "response time at the common rate", 2, "ms")
METRICS = {
    "throughput": Metric(RATE, "correct answers per second at the common rate", 0, "/s"),
    "ceiling": Metric(RATE, "closed-loop throughput", 0, "/s"),
    "capacity": Metric(RATE, "highest rate that meets the objective of --slo", 0, "/s"),
    "errors": Metric(PERCENT, "share of requests at the common rate that failed", 3, "%"),
    "cpu": Metric(TIME_S, "CPU seconds per 1,000 predictions at the ceiling", 3, "s"),
    "memory": Metric(MEMORY_MIB, "peak memory", 0, "MiB"),
    "start": Metric(TIME_S, "start to first correct prediction", 2, "s"),
}


@dataclass(frozen=True)
class Condition:
    """A limit on one metric.

    Attributes:
        text: As it was written.
        comparison: Name of a comparison, such as ``imagenet``; empty where the condition names none.
        server: Server key; empty where the condition names none.
        name: Name of the metric, such as ``p99``.
        operator: ``<``, ``<=``, ``>`` or ``>=``.
        limit: In the metric's own unit: ms, requests per second, %, s or MiB.
    """

    text: str
    comparison: str
    server: str
    name: str
    operator: str
    limit: float

    @classmethod
    def parse(cls, text: str, *, called: str, example: str) -> "Condition":
        """Read ``[[COMPARISON/]SERVER.]METRIC<LIMIT``.

        Args:
            text: The condition.
            called: What an error calls it, such as ``objective``.
            example: One that can be read, for the error.

        Raises:
            UsageError: If it is of another form, or its metric or unit is unknown.
        """
        found = _FORM.match(text)
        if found is None:
            raise UsageError(f"{text!r} is no {called}; write one like {example!r}")
        name, unit = found["metric"], found["unit"]
        metric = _metric(name)
        if metric is None:
            raise UsageError(
                f"{text!r}: there is no metric {name!r}; there are: p50, p99 and the like, {', '.join(METRICS)}"
            )
        if unit not in metric.units:
            raise UsageError(f"{text!r}: {name} is written in {' or '.join(unit for unit in metric.units if unit)}")
        limit = float(found["limit"]) * metric.units[unit]
        where = found["comparison"] or "", found["server"] or ""
        return cls(text.strip(), *where, name, found["operator"], limit)

    @property
    def metric(self) -> Metric:
        """What it is set on."""
        return _metric(self.name) or PERCENTILE

    @property
    def percent(self) -> float | None:
        """Which percentile it is set on; None for any other metric."""
        return float(self.name[1:]) if self.metric is PERCENTILE else None

    def holds(self, value: float) -> bool:
        """Whether a value, in the metric's own unit, is on the right side of the limit."""
        return OPERATORS[self.operator](value, self.limit)


def _metric(name: str) -> Metric | None:
    is_percentile = name[:1] == "p" and name[1:].replace(".", "").isdigit() and float(name[1:]) > 0
    return PERCENTILE if is_percentile else METRICS.get(name)
