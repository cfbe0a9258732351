"""The numbers of a comparison: one row per server, each with its interval over the rounds."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest.judge.intervals import (
    NOT_KNOWN,
    Estimate,
    geometric_estimate,
    is_tie,
    paired_ratio,
    percentile_estimate,
    percentile_ratio,
)
from loadtest.judge.run_result import RunResult
from loadtest.judge.server_result import ServerResult
from loadtest.machine.usage import Usage


@dataclass(frozen=True)
class SummaryRow:
    """One server's numbers. Runs that judged themselves invalid are left out of every one of them.

    Each is the geometric mean of the rounds, so that the ratio of two servers is that of the numbers that are told of
    them, where both were in the same rounds.

    Attributes:
        key: Server key.
        label: What tables print.
        rounds: Rounds run.
        p50_ms: Response time from the intended send, at the common rate.
        p95_ms: Likewise.
        p99_ms: Likewise.
        throughput_rps: Correct answers per second at the common rate.
        ceiling_rps: Closed-loop throughput.
        cpu_s_per_1000_at_common_rate: CPU seconds of the server's process tree per 1,000 predictions, at the common
            rate: a server that has little to do spends a part of them on waiting.
        peak_mib: Peak memory.
        first_prediction_s: Start to first correct prediction.
        failed: Requests that ended as an error or a mismatch, of `requests`.
        requests: Requests scheduled in all valid open-loop runs.
        cpu_s_per_1000_at_ceiling: The same in the closed loop, where it has as much to do as it can.
    """

    key: str
    label: str
    rounds: int
    p50_ms: Estimate
    p95_ms: Estimate
    p99_ms: Estimate
    throughput_rps: Estimate
    ceiling_rps: Estimate
    cpu_s_per_1000_at_common_rate: Estimate
    peak_mib: Estimate
    first_prediction_s: Estimate
    failed: int
    requests: int
    cpu_s_per_1000_at_ceiling: Estimate = NOT_KNOWN


@dataclass(frozen=True)
class Ratio:
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


def summarise(servers: Sequence[ServerResult], batch: int) -> list[SummaryRow]:
    """One row per server, in their order.

    Args:
        servers: Their results.
        batch: Instances in one request.
    """
    return [_row(server, batch) for server in servers]


def ratios(servers: Sequence[ServerResult]) -> list[Ratio]:
    """Every server against every later one: p50, p95, p99 and ceiling."""
    able = [server for server in servers if server.rounds]
    return [ratio for one, two in itertools.combinations(able, 2) for ratio in _between(one, two)]


def _between(one: ServerResult, two: ServerResult) -> Iterator[Ratio]:
    times = [{each.number: each.open_loop.response_times for each in server.valid_rounds} for server in (one, two)]
    ceilings = [
        {each.number: each.closed_loop.throughput_rps for each in server.valid_ceiling_rounds} for server in (one, two)
    ]
    found = {f"p{percent:.0f}": percentile_ratio(times[0], times[1], percent) for percent in (50.0, 95.0, 99.0)}
    found["ceiling"] = paired_ratio(ceilings[0], ceilings[1])
    for measure, ratio in found.items():
        yield Ratio(one.key, two.key, measure, ratio, is_tie(ratio))


def _row(server: ServerResult, batch: int) -> SummaryRow:
    valid = server.valid_rounds
    times = [one.open_loop.response_times for one in valid]
    requests = [one.open_loop.requests for one in valid]
    return SummaryRow(
        key=server.key,
        label=server.label,
        rounds=len(server.rounds),
        p50_ms=percentile_estimate(times, 50),
        p95_ms=percentile_estimate(times, 95),
        p99_ms=percentile_estimate(times, 99),
        throughput_rps=geometric_estimate([one.open_loop.throughput_rps for one in valid]),
        ceiling_rps=geometric_estimate([one.closed_loop.throughput_rps for one in server.valid_ceiling_rounds]),
        cpu_s_per_1000_at_common_rate=geometric_estimate(
            [_cpu_per_1000(one.open_usage, one.open_loop, batch) for one in valid]
        ),
        cpu_s_per_1000_at_ceiling=geometric_estimate(
            [_cpu_per_1000(one.closed_usage, one.closed_loop, batch) for one in server.valid_ceiling_rounds]
        ),
        peak_mib=geometric_estimate(
            [one.closed_usage.peak_mib for one in server.valid_ceiling_rounds if one.closed_usage]
        ),
        first_prediction_s=geometric_estimate([one.first_prediction_s for one in server.rounds]),
        failed=sum(one.failed for one in requests),
        requests=sum(one.scheduled for one in requests),
    )


def _cpu_per_1000(usage: Usage | None, run: RunResult, batch: int) -> float:
    answers = run.requests.ok
    return usage.cpu_s / (answers * batch) * 1000 if usage and answers else math.nan
