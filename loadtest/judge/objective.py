"""Service-level objectives, as people write them: ``p99<50ms``, ``errors<0.1%``."""

import re
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.judge.condition import Condition
from loadtest.judge.ranked import ranked_percentiles
from loadtest.load.recorder import Tally

RESOLUTION = 1 + 1 / 1024
"""A histogram tells each value as the highest of its bucket, which is at most so much higher."""


@dataclass(frozen=True)
class Objective:
    """A latency objective with an error budget.

    Attributes:
        percent: Which percentile of the response time.
        limit_ms: What it must not exceed, in milliseconds.
        errors: Largest share of requests that may fail, from 0 to 1.
    """

    percent: float
    limit_ms: float
    errors: float

    @classmethod
    def parse(cls, text: str, errors: str = "<0.1%") -> "Objective":
        """Read ``p99<50ms`` and ``<0.1%``.

        Raises:
            UsageError: If either is of another form.
        """
        objective = Condition.parse(text, called="objective", example="p99<50ms")
        if objective.percent is None or objective.server or not objective.operator.startswith("<"):
            raise UsageError(f"{text!r} is no objective; write one like 'p99<50ms'")
        # A budget is written without its metric too: <0.1%.
        budget = re.sub(r"^\s*(errors)?\s*(<=?)?", "errors<", errors)
        allowed = Condition.parse(budget, called="error budget", example="<0.1%")
        if allowed.limit > 100:
            raise UsageError(f"{errors!r} is no error budget; write one like '<0.1%'")
        return cls(objective.percent, objective.limit, allowed.limit / 100)

    def __str__(self) -> str:
        return f"p{self.percent:g}<{self.limit_ms:g}ms, errors<{self.errors * 100:g}%"

    @property
    def slow_allowed(self) -> float:
        """Share of requests that may be slower than the limit, or fail."""
        return 1 - self.percent / 100

    def observed_ms(self, tally: Tally) -> float:
        """The percentile over all requests, a failed one counting as infinitely slow."""
        return ranked_percentiles(tally.response, tally.failed, [self.percent])[0] / 1e6

    def slow(self, tally: Tally) -> int:
        """How many requests were slower than the limit, or failed."""
        values, counts = tally.response.nonzero()
        within = self.limit_ms * 1e6 * RESOLUTION
        in_time = sum(count for value, count in zip(values, counts, strict=True) if value <= within)
        return tally.scheduled - min(in_time, tally.ok)

    def met(self, tally: Tally) -> bool:
        """Whether a run met the objective."""
        return (
            tally.ok > 0 and tally.failed <= self.errors * tally.scheduled and self.observed_ms(tally) <= self.limit_ms
        )
