"""What a soak sees: a sample of each stretch of it, and totals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.judge.findings import Finding
from loadtest.load.recorder import Tally, Window
from loadtest.machine.holdings import Holdings
from loadtest.records import Count, Number
from loadtest.resilience.lost_requests import lost_and_refused


@dataclass(frozen=True)
class SoakSample:
    """A stretch of the soak, and what the server held at its end.

    Attributes:
        at_s: End of the stretch, in seconds from the start of the load.
        right: Right answers from the start.
        wrong: Wrong ones.
        errors: Requests without an answer from the start, by kind.
        rate: Right answers per second in the stretch.
        p50_ms: Median response time in it.
        p99_ms: 99th percentile.
        resident_mib: Memory; NaN where it is not known. See `Holdings` for this one and the following.
        own_mib: The part of it that no file backs.
        descriptors: Open descriptors; None where they cannot be counted.
        threads: None where they are not known.
        processes: Likewise.
    """

    at_s: float
    right: Count
    wrong: Count
    errors: dict[str, Count]
    rate: float
    p50_ms: Number
    p99_ms: Number
    resident_mib: Number
    own_mib: Number
    descriptors: int | None
    threads: int | None
    processes: int | None


@dataclass(frozen=True)
class SoakTotals:
    """What became of all requests.

    Attributes:
        elapsed_s: How long it took.
        right: Right answers.
        wrong: Wrong ones.
        lost: Requests that the server had taken and did not answer, by kind.
        refused: Those that it did not take, by kind.
        p50_ms: Median response time of the right answers; NaN of a soak that was cut short.
        p99_ms: 99th percentile.
        faults: Why the client's times cannot be believed; empty where they can.
    """

    elapsed_s: float
    right: Count
    wrong: Count
    lost: dict[str, Count]
    refused: dict[str, Count]
    p50_ms: Number
    p99_ms: Number
    faults: list[Finding]

    @property
    def requests(self) -> int:
        """All of them."""
        return self.right + self.failed

    @property
    def failed(self) -> int:
        """Those without a right answer."""
        return self.wrong + sum(self.lost.values()) + sum(self.refused.values())

    @classmethod
    def of_tally(cls, tally: Tally, elapsed_s: float, faults: list[Finding]) -> "SoakTotals":
        """Of a soak that has ended."""
        p50, p99 = (one / 1e6 for one in tally.response.percentiles([50.0, 99.0]))
        return cls(elapsed_s, tally.ok, tally.mismatched, *lost_and_refused(tally.errors), p50, p99, faults)

    @classmethod
    def of_sample(cls, sample: SoakSample) -> "SoakTotals":
        """Of a soak that was cut short after this sample."""
        return cls(sample.at_s, sample.right, sample.wrong, *lost_and_refused(sample.errors), math.nan, math.nan, [])


def sample_of(
    window: Window, lasted_s: float, right: int, wrong: int, errors: Mapping[str, int], held: Holdings | None
) -> SoakSample:
    """The sample of a stretch.

    Args:
        window: Its response times.
        lasted_s: Its length.
        right: Right answers from the start.
        wrong: Wrong ones.
        errors: Errors by kind.
        held: What the server holds; None where it is not known.
    """
    return SoakSample(
        at_s=window.end_s,
        right=right,
        wrong=wrong,
        errors=dict(sorted(errors.items())),
        rate=window.ok / lasted_s,
        p50_ms=window.p50_ms,
        p99_ms=window.p99_ms,
        resident_mib=held.resident_mib if held else math.nan,
        own_mib=held.own_mib if held else math.nan,
        descriptors=held.descriptors if held else None,
        threads=held.threads if held else None,
        processes=held.processes if held else None,
    )
