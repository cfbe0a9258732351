"""When a comparison has enough rounds: once an interval is as narrow as asked.

Lancet (Kogias, Mallon and Bugnion, USENIX ATC 2019) goes on sampling until the confidence interval of the percentile
that was asked for is narrow enough; here a sample is a round. Who looks after each round and stops at the first narrow
interval stops sooner where a few rounds agree by luck, and such intervals hold the truth too seldom (Law, Simulation
Modeling and Analysis, chapter 9). So the first look is after `SETTLED` rounds: ``benchmarks/interval_coverage.md``.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.judge.intervals import MIN_ROUNDS, Estimate
from loadtest.judge.samples import requests_for
from loadtest.judge.summary import SummaryRow

COLUMNS = {"p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms", "ceiling": "ceiling_rps"}
SETTLED = 6
"""Rounds before which a narrow interval ends nothing."""

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

    @property
    def percent(self) -> float | None:
        """Which percentile the measure is; None for the ceiling."""
        return float(self.measure[1:]) if self.measure.startswith("p") else None

    @property
    def requests(self) -> int:
        """Requests that a round must expect, so that hardly any has too few for the percentile."""
        return 1 if self.percent is None else requests_for(self.percent)

    def open(self, rows: Sequence[SummaryRow]) -> list[SummaryRow]:
        """Of which servers more rounds may make the interval as narrow as asked.

        Not of one that failed too many requests, whose percentile is infinite whatever its other rounds are, nor of one
        that was in no round.

        Args:
            rows: The numbers so far.
        """
        measured = [row for row in rows if row.rounds and not math.isinf(self._value(row).value)]
        return [row for row in measured if _width(self._value(row)) > self.share + 1e-9]

    def reached(self, rows: Sequence[SummaryRow]) -> bool:
        """Whether the interval of every server that can have one is narrow enough."""
        return not self.open(rows) and any(row.rounds and math.isfinite(self._value(row).value) for row in rows)

    def _value(self, row: SummaryRow) -> Estimate:
        value: Estimate = getattr(row, COLUMNS[self.measure])
        return value


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

    def over(self, done: int, elapsed_s: float, rows: Sequence[SummaryRow]) -> bool:
        """Whether no further round is to be run.

        Args:
            done: Rounds so far.
            elapsed_s: How long they took, in seconds.
            rows: The numbers so far.
        """
        if self.until is None:
            return done >= self.rounds
        if done < max(self.rounds, MIN_ROUNDS):  # without these there is no interval at all
            return False
        narrow = done >= SETTLED and not self.until.open(rows)
        return narrow or elapsed_s * (done + 1) / done > self.within_s
