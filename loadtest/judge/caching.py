"""Whether a server answers from a cache: one input over and over beside inputs that are all different.

The audit is TEST04 of MLPerf's compliance tests (mlcommons/inference, compliance/TEST04): with the same sample over and
over, performance may not be more than 10 % better. Here the two sides run in pairs, so that what drifts on the machine
hits both, and the verdict waits until the interval of the ratio lies on one side of those 10 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.judge.findings import CACHED, CACHING_NOT_CERTAIN, NOT_CACHED, Finding
from loadtest.judge.intervals import Estimate, geometric_estimate
from loadtest.records import Count, Number

LIMIT = 1.10
"""A repeated input may be answered this many times as fast as different ones."""

WORDS = {NOT_CACHED: "not cached", CACHED: "cached", CACHING_NOT_CERTAIN: "not certain"}


@dataclass(frozen=True)
class Pair:
    """One run with different inputs and one with a single input, in closed loops one after the other.

    Attributes:
        different_rps: Correct answers per second where every input is another.
        repeated_rps: The same where one input is repeated.
        inputs: How many different requests the first one had.
        failed: Requests of both that were not answered correctly.
        client_bound: Whether the client was at its limit in either: a faster server would not have shown.
    """

    different_rps: Number
    repeated_rps: Number
    inputs: Count
    failed: Count
    client_bound: bool

    @property
    def ratio(self) -> float:
        """How many times as fast the repeated input was; NaN where nothing was answered."""
        return self.repeated_rps / self.different_rps if self.different_rps and self.repeated_rps else math.nan


@dataclass(frozen=True)
class Caching:
    """What the audit found.

    Attributes:
        verdict: ``cached``, ``not cached`` or ``not certain``.
        ratio: How many times as fast the repeated input was: geometric mean over the pairs, with its 95 % interval.
        limit: Up to this ratio nothing is held against a server.
        pairs: The runs.
        finding: The same, to be told.
    """

    verdict: str
    ratio: Estimate
    limit: float
    pairs: list[Pair] = field(default_factory=list)
    finding: Finding = field(default_factory=lambda: Finding(CACHING_NOT_CERTAIN))

    @property
    def certain(self) -> bool:
        """Whether the verdict is one or the other."""
        return self.finding.code != CACHING_NOT_CERTAIN


def conclude_caching(pairs: Sequence[Pair]) -> Caching:
    """Judge the pairs: cached where the whole interval is above the limit, not cached where it is below.

    Not certain is what lies on the limit, what a client at its own limit or failed requests blur, and fewer than three
    pairs. A client at its limit hides a cache and cannot feign one.
    """
    ratio = geometric_estimate([pair.ratio for pair in pairs])
    failed = sum(pair.failed for pair in pairs)
    if ratio.low > LIMIT:
        code = CACHED
    elif ratio.high < LIMIT and not failed and not any(pair.client_bound for pair in pairs):
        code = NOT_CACHED
    else:
        code = CACHING_NOT_CERTAIN
    finding = Finding(code, {"limit": LIMIT, "failed": failed})
    known = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
    finding.values.update({name: value for name, value in known.items() if not math.isnan(value)})
    return Caching(WORDS[code], ratio, LIMIT, list(pairs), finding)
