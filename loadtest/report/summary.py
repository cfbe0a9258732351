"""The numbers of a comparison: one row per server, each with its interval over the rounds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.experiments.comparison import Comparison, Record
from loadtest.judge.intervals import Estimate, is_tie, mean_estimate, mean_ratio, percentile_estimate, percentile_ratio
from loadtest.machine.usage import Usage


@dataclass(frozen=True)
class Row:
    """One server's numbers. Runs that judged themselves invalid are left out of every one of them.

    Attributes:
        key: Server key.
        label: What tables print.
        rounds: Rounds run.
        p50_ms: Response time from the intended send, at the common rate.
        p95_ms: Likewise.
        p99_ms: Likewise.
        throughput_rps: Correct answers per second at the common rate.
        ceiling_rps: Closed-loop throughput.
        cpu_s_per_1000: CPU seconds of the server's process tree per 1,000 predictions, at the common rate.
        peak_mib: Peak memory.
        first_prediction_s: Start to first correct prediction.
        failed: Requests that ended as an error or a mismatch, of `requests`.
        requests: Requests scheduled in all valid open-loop runs.
        faults: Why a number is missing, in plain words.
        notes: Findings of its runs, such as an overload.
    """

    key: str
    label: str
    rounds: int
    p50_ms: Estimate
    p95_ms: Estimate
    p99_ms: Estimate
    throughput_rps: Estimate
    ceiling_rps: Estimate
    cpu_s_per_1000: Estimate
    peak_mib: Estimate
    first_prediction_s: Estimate
    failed: int
    requests: int
    faults: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Versus:
    """One server against another.

    Attributes:
        one: Key of the first server.
        two: Key of the second one.
        measure: What is compared.
        ratio: First over second.
        tie: Whether the interval spans 1.
    """

    one: str
    two: str
    measure: str
    ratio: Estimate
    tie: bool


def summarise(comparison: Comparison) -> list[Row]:
    """One row per server, in the order of the comparison."""
    return [_row(record, comparison.plan.batch) for record in comparison.records]


def pairs(comparison: Comparison) -> list[Versus]:
    """Every server against every later one: p50, p99 and ceiling."""
    found = []
    able = [record for record in comparison.records if record.rounds]
    for index, one in enumerate(able):
        for two in able[index + 1 :]:
            # Only rounds in which both runs are valid: the two sides of a round are drawn together.
            both = [
                (a, b)
                for a, b in zip(one.rounds, two.rounds, strict=False)
                if a.number == b.number and a.open_loop.verdict.valid and b.open_loop.verdict.valid
            ]
            ours, theirs = ([pair[side].open_loop.tally.response for pair in both] for side in (0, 1))
            for percent in (50.0, 99.0):
                ratio = percentile_ratio(ours, theirs, percent)
                found.append(Versus(one.server.key, two.server.key, f"p{percent:.0f}", ratio, is_tie(ratio)))
            ceilings = mean_ratio(_ceilings(one), _ceilings(two))
            found.append(Versus(one.server.key, two.server.key, "ceiling", ceilings, is_tie(ceilings)))
    return found


def _row(record: Record, batch: int) -> Row:
    valid = [one for one in record.rounds if one.open_loop.verdict.valid]
    histograms = [one.open_loop.tally.response for one in valid]
    faults, notes = list(record.faults), []
    for one in record.rounds:
        for name, run in (("open loop", one.open_loop), ("closed loop", one.closed_loop)):
            place = f"round {one.number}, {name}"
            faults += [f"{place}: INVALID, {reason}" for reason in run.verdict.reasons]
            notes += [f"{place}: {finding}" for finding in run.verdict.findings]
    return Row(
        key=record.server.key,
        label=record.label,
        rounds=len(record.rounds),
        p50_ms=percentile_estimate(histograms, 50),
        p95_ms=percentile_estimate(histograms, 95),
        p99_ms=percentile_estimate(histograms, 99),
        throughput_rps=mean_estimate([one.open_loop.throughput_rps for one in valid]),
        ceiling_rps=mean_estimate(_ceilings(record)),
        cpu_s_per_1000=mean_estimate([_cpu_per_1000(one.open_usage, one.open_loop.tally.ok, batch) for one in valid]),
        peak_mib=mean_estimate(
            [one.closed_usage.peak_mib for one in record.rounds if one.closed_usage and one.closed_loop.verdict.valid]
        ),
        first_prediction_s=mean_estimate([one.first_prediction_s for one in record.rounds]),
        failed=sum(one.open_loop.tally.scheduled - one.open_loop.tally.ok for one in valid),
        requests=sum(one.open_loop.tally.scheduled for one in valid),
        faults=faults,
        notes=notes,
    )


def _ceilings(record: Record) -> Sequence[float]:
    return [one.closed_loop.throughput_rps if one.closed_loop.verdict.valid else math.nan for one in record.rounds]


def _cpu_per_1000(usage: Usage | None, answers: int, batch: int) -> float:
    return usage.cpu_s / (answers * batch) * 1000 if usage and answers else math.nan
