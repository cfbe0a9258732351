"""When a comparison has enough rounds: once an interval is as narrow as asked.

Lancet (Kogias, Mallon and Bugnion, USENIX ATC 2019) goes on sampling until the confidence interval of the percentile
that was asked for is narrow enough; here a sample is a round.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.judge.intervals import MIN_ROUNDS, Estimate
from loadtest.judge.summary import SummaryRow

COLUMNS = {"p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms", "ceiling": "ceiling_rps"}
_FORM = re.compile(r"^\s*(?P<measure>[a-z]\w*)\s*(?:±|\+-|\+/-)\s*(?P<percent>\d+(?:\.\d+)?)\s*%\s*$")


@dataclass(frozen=True)
class Until:
    """How narrow the interval of each server's measure has to be.

    Attributes:
        measure: ``p50``, ``p95``, ``p99`` or ``ceiling``.
        share: Largest distance of an end of the interval from the value, as a share of the value.
    """

    measure: str
    share: float

    @classmethod
    def parse(cls, text: str) -> "Until":
        """Read ``p99 ±10%``; ``+-`` is taken for ``±`` too.

        Raises:
            UsageError: If it is of another form, or of a measure that has no interval over the rounds.
        """
        found = _FORM.match(text)
        if found is None or not 0 < float(found["percent"]) < 100:
            raise UsageError(f"{text!r} is no width of an interval; write one like 'p99 ±10%'")
        if found["measure"] not in COLUMNS:
            raise UsageError(f"{text!r}: {found['measure']} is none of {', '.join(COLUMNS)}")
        return cls(found["measure"], float(found["percent"]) / 100)

    def __str__(self) -> str:
        return f"{self.measure} ±{100 * self.share:g} %"

    def reached(self, rows: Sequence[SummaryRow]) -> bool:
        """Whether the interval of every server is narrow enough; one that failed too many requests has none to narrow.

        Args:
            rows: The numbers so far.
        """
        values: list[Estimate] = [getattr(row, COLUMNS[self.measure]) for row in rows]
        ranked = [value for value in values if not math.isinf(value.value)]
        return all(_width(value) <= self.share + 1e-9 for value in ranked)


def _width(value: Estimate) -> float:
    """The larger distance of the two ends from the value, as a share of it; infinite where there is no interval."""
    if math.isnan(value.low) or not value.value > 0:
        return math.inf
    return max(value.high / value.value - 1, 1 - value.low / value.value)


@dataclass(frozen=True)
class RoundLimits:
    """How many rounds a comparison runs.

    Attributes:
        rounds: As many at least, and no more where no width is asked for.
        until: The width, or None.
        within_s: No round begins that would, if it takes as long as those before it, end later than this.
    """

    rounds: int
    until: Until | None = None
    within_s: float = math.inf

    @property
    def least(self) -> int:
        """Rounds without which there is no interval at all."""
        return max(self.rounds, MIN_ROUNDS) if self.until else self.rounds

    def over(self, done: int, elapsed_s: float, rows: Sequence[SummaryRow]) -> bool:
        """Whether no further round is to be run.

        Args:
            done: Rounds so far.
            elapsed_s: How long they took, in seconds.
            rows: The numbers so far.
        """
        if done < self.least:
            return False
        if self.until is None or self.until.reached(rows):
            return True
        return elapsed_s * (done + 1) / done > self.within_s
