"""What ``loadtest run`` prints of its result."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields

from rich.table import Table

from loadtest.cli.common import stdout
from loadtest.judge.run_result import RunResult
from loadtest.report.reading import FAILED
from loadtest.report.server_times import disagreement
from loadtest.report.wording import all_words, words


def print_run(result: RunResult) -> None:
    """Print the times of a run, what became of its requests, and its verdict."""
    table = Table(title=f"{result.run.schedule} load on {result.run.target}", title_justify="left")
    names = [field.name for field in fields(result.response_time_ms)]
    for name in ("ms", *names):
        table.add_column(name.replace("_", "."), justify="right")
    for title, times in _rows(result):
        table.add_row(title, *(_cell(times.get(name, math.nan)) for name in names))
    stdout.print(table)
    for line in _lines(result):
        stdout.print(line)
    stdout.print("[green]VALID[/green]" if result.verdict.valid else "[red]INVALID[/red]")
    for finding in (*result.verdict.reasons, *result.verdict.findings):
        stdout.print(f"- {words(finding)}")


def _rows(result: RunResult) -> Iterator[tuple[str, Mapping[str, float]]]:
    """The lines of the table: a title, and its numbers by the name of their column."""
    yield "response time", asdict(result.response_time_ms)
    if result.low_ms and result.high_ms:
        yield "… 95 % from", asdict(result.low_ms)
        yield "… to", asdict(result.high_ms)
    if result.certified_ms:
        yield "… at most (99 %)", asdict(result.certified_ms)
    if result.corrected_response_time_ms:
        yield "… corrected", asdict(result.corrected_response_time_ms)
    yield "service time", asdict(result.service_time_ms)
    yield "send lag", asdict(result.send_lag_ms)
    if result.receive_lag_ms:
        yield "receive lag" if _by_kernel(result) else "receive lag ≤", asdict(result.receive_lag_ms)


def _lines(result: RunResult) -> Iterator[str]:
    """What stands between the table and the verdict."""
    if result.expected_interval_ms is not None and result.corrected_response_time_ms is not None:
        yield (
            "corrected: HdrHistogram's correction for coordinated omission; it assumes that each connection would have "
            f"sent every {result.expected_interval_ms:,.3f} ms, its mean interval, and that what it did not send waited"
        )
    requests = result.requests
    errors = "".join(f", {kind} {count:,}" for kind, count in requests.errors.items())
    yield (
        f"{requests.ok:,} of {requests.scheduled:,} answered correctly ({requests.mismatched:,} wrong{errors}), "
        f"{result.throughput_rps:,.0f} per second, client at {result.client.cpu_share:.0%} of its core"
    )
    if _by_kernel(result) and (lag := result.receive_lag_ms):
        times = result.response_time_ms
        shares = [
            f"{getattr(lag, name) / getattr(times, name):.1%} of {name}"
            for name in ("p50", "p99")
            if math.isfinite(getattr(times, name))
        ]
        yield f"the client's share by the kernel's time stamps: {' and '.join(shares) or 'not known'}"
    yield from _told_by_server(result)
    if result.run.processes > 1:
        yield f"{result.run.processes} processes began within {result.start_spread_s * 1e3:.2f} ms"
    if result.warmup:
        end = "until the server was steady" if result.warmup.steady else "to its bound"
        yield f"before it {result.warmup.requests:,} requests of warm-up in {result.warmup.duration_s:.1f} s, {end}"


def _told_by_server(result: RunResult) -> Iterator[str]:
    told = result.server_times
    if told is None:
        return
    if told.faults:
        yield all_words(told.faults)
        return
    parts = {"queue": told.queue_ms, "inference": told.inference_ms, "rest": told.rest_ms}
    apart = ", ".join(f"{name} {value:,.3f}" for name, value in parts.items() if not math.isnan(value))
    if not math.isnan(told.request_ms):
        yield (
            f"the server itself: {told.request_ms:,.3f} ms for a request on average ({apart}), "
            f"{result.service_time_ms.mean - told.request_ms:,.3f} ms less than the mean service time at the client"
        )
    if text := disagreement(result):
        yield text


def _by_kernel(result: RunResult) -> bool:
    return result.receive_lag_by == "kernel"


def _cell(value: float) -> str:
    if math.isnan(value):
        return ""
    return FAILED if math.isinf(value) else f"{value:,.3f}"
