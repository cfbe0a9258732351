"""What a soak tells: totals, and whether what the server holds and how fast it answers has changed over the time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.judge.intervals import Estimate
from loadtest.judge.trend import Trend, ratio_of_thirds, trend
from loadtest.records import Number
from loadtest.resilience.soak import SoakPlan
from loadtest.resilience.soak_sample import SoakSample, SoakTotals

SETTLING = 0.2
"""This share of the time, at the beginning, is left out of the trends: pools fill, code is compiled, heaps find their
size."""

MEMORY, DESCRIPTORS, THREADS, P99 = "memory, MiB", "descriptors", "threads", "p99, ms"
PAGE_MIB = 4 / 1024


@dataclass(frozen=True)
class Soak:
    """What a soak found of one server.

    Attributes:
        label: What tables call it.
        stands_in_for: What it stands in for, where it is not the server itself.
        wire: Name of the wire format.
        plan: How it was soaked.
        pace_rps: What it answered per second in a closed loop before.
        finished: Whether it was soaked to the end; what was measured until then is told in any case.
        fault: Why it could not be soaked to the end, where a reason is known.
        totals: What became of all requests; None where none was counted.
        trends: By what was sampled (`MEMORY` and so on), without the first `SETTLING` of the time; what is not known is
            not there.
        p99_ratio: p99 of the last third of that time over that of the first.
        rate_ratio: The same of the right answers per second.
        samples: Every one, those of the beginning included.
    """

    label: str
    stands_in_for: str | None
    wire: str
    plan: SoakPlan
    pace_rps: Number
    finished: bool
    fault: str | None
    totals: SoakTotals | None
    trends: dict[str, Trend]
    p99_ratio: Estimate
    rate_ratio: Estimate
    samples: list[SoakSample]

    @property
    def passed(self) -> bool:
        """Whether it was soaked to the end, and every answer was right or refused."""
        return self.finished and self.totals is not None and not (self.totals.wrong or self.totals.lost)


def settled(samples: Sequence[SoakSample]) -> list[SoakSample]:
    """Those after the beginning, which is left out."""
    return [one for one in samples if one.at_s > SETTLING * samples[-1].at_s]


def trends_of(samples: Sequence[SoakSample]) -> dict[str, Trend]:
    """The trends of what was sampled.

    Args:
        samples: All of a soak.
    """
    kept = settled(samples)
    series: dict[str, tuple[list[float], float]] = {
        MEMORY: ([memory_mib(one) for one in kept], PAGE_MIB),
        DESCRIPTORS: ([_number(one.descriptors) for one in kept], 1.0),
        THREADS: ([_number(one.threads) for one in kept], 1.0),
        P99: ([one.p99_ms for one in kept], 0.0),
    }
    hours = [one.at_s / 3_600 for one in kept]
    millions = [one.right / 1e6 for one in kept]
    return {
        name: trend(hours, millions, values, grain)
        for name, (values, grain) in series.items()
        if not all(map(math.isnan, values))
    }


def soak_of(
    label: str,
    stands_in_for: str | None,
    wire: str,
    plan: SoakPlan,
    pace_rps: float,
    samples: Sequence[SoakSample],
    totals: SoakTotals | None = None,
    fault: str | None = None,
) -> Soak:
    """What a soak found, to its end or to where it was cut short.

    Args:
        label: See `Soak`; likewise the following.
        stands_in_for: What it stands in for.
        wire: Name of the wire format.
        plan: How it was soaked.
        pace_rps: What it answered before.
        samples: All.
        totals: None where it did not come to its end: they are those of the last sample then.
        fault: Why it did not.
    """
    kept = settled(samples)
    known = totals or (SoakTotals.of_sample(samples[-1]) if samples else None)
    return Soak(
        label=label,
        stands_in_for=stands_in_for,
        wire=wire,
        plan=plan,
        pace_rps=pace_rps,
        finished=totals is not None,
        fault=fault,
        totals=known,
        trends=trends_of(samples),
        p99_ratio=ratio_of_thirds([one.p99_ms for one in kept]),
        rate_ratio=ratio_of_thirds([one.rate for one in kept]),
        samples=list(samples),
    )


def memory_mib(sample: SoakSample) -> float:
    """What no file backs, and all of it where that is not told apart."""
    return sample.resident_mib if math.isnan(sample.own_mib) else sample.own_mib


def _number(count: int | None) -> float:
    return math.nan if count is None else float(count)
