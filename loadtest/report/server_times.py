"""The times of a request as each server tells them itself, beside those that the client measured, as a table."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.run_result import RunResult
from loadtest.judge.server_result import ServerResult
from loadtest.judge.server_times import ServerTimes
from loadtest.report.figure import Cell, Column, Table
from loadtest.report.wording import all_words

TITLE = "The servers' own times, as a cross-check"
NOTE = (
    "Read from each server's own metrics before and after each valid run, never during it, and averaged over the "
    "requests of all rounds. What a server tells begins when it has received a request, or its headers, and ends with "
    "its answer: the difference is the network, what the HTTP server does outside of that, and the client. The rest is "
    "what the server tells of neither queue nor inference; a dash stands for what it does not tell apart, which is in "
    "the rest."
)
COLUMNS = (
    Column("server"),
    Column("load"),
    Column("client's service time, ms", 3),
    Column("server's own, ms", 3),
    Column("queue, ms", 3),
    Column("inference, ms", 3),
    Column("rest, ms", 3),
    Column("difference, ms", 3),
    Column("answers at the client", 0),
    Column("requests that the server counted", 0),
)


@dataclass(frozen=True)
class CrossCheck:
    """What a page shows of it.

    Attributes:
        title: Short.
        table: A row for each server and load.
        note: How to read it.
        remarks: Where client and server disagree, and what could not be read.
    """

    title: str
    table: Table
    note: str
    remarks: Sequence[str]


def cross_check(result: ComparisonResult) -> CrossCheck | None:
    """The table of a comparison; None where no server told anything, as in older results, or no run is valid."""
    asked = [server for server in result.servers if any(run.server_times for _, run in server.runs)]
    if not asked:
        return None
    rows = [row for server in asked for row in _rows(server, result.names[server.key])]
    remarks = [f"{result.names[server.key]}: {told}" for server in asked for told in _remarks(server)]
    if not rows and not remarks:
        return None
    return CrossCheck(TITLE, Table(TITLE, COLUMNS, rows), NOTE, remarks)


def disagreement(run: RunResult) -> str:
    """What is to be said of the two counts of a run; empty where they are the same."""
    told, answers = run.server_times, run.requests.ok + run.requests.mismatched
    if told is None or told.faults or told.requests == answers:
        return ""
    errors = sum(run.requests.errors.values())
    failed = f"; {errors:,} of its requests failed" if errors else ""
    return f"the server counted {told.requests:,} requests, and the client has {answers:,} answers{failed}"


def _rows(server: ServerResult, name: str) -> Iterator[list[Cell]]:
    for load, runs in (
        ("common rate", [one.open_loop for one in server.valid_rounds]),
        ("closed loop", [one.closed_loop for one in server.valid_ceiling_rounds]),
    ):
        told = [(run, run.server_times) for run in runs if run.server_times and not run.server_times.faults]
        if not told:
            continue
        own = _pooled([times for _, times in told])
        answers = sum(run.requests.ok + run.requests.mismatched for run, _ in told)
        service_ms = sum(run.service_time_ms.mean * run.requests.ok for run, _ in told) / max(
            sum(run.requests.ok for run, _ in told), 1
        )
        yield [
            name,
            load,
            service_ms,
            own.request_ms,
            own.queue_ms,
            own.inference_ms,
            own.rest_ms,
            service_ms - own.request_ms,
            answers,
            own.requests,
        ]


def _pooled(told: Sequence[ServerTimes]) -> ServerTimes:
    """The means over the requests of several runs."""
    requests = sum(one.requests for one in told)

    def mean(times: Iterable[float]) -> float:
        pairs = zip(times, told, strict=True)
        return sum(time * one.requests for time, one in pairs if one.requests) / requests if requests else math.nan

    return ServerTimes(
        requests,
        mean(one.request_ms for one in told),
        mean(one.queue_ms for one in told),
        mean(one.inference_ms for one in told),
    )


def _remarks(server: ServerResult) -> Iterator[str]:
    unread = [(name, run.server_times) for name, run in server.runs if run.server_times and run.server_times.faults]
    if unread:
        (name, first), *more = unread
        yield f"{name}: {all_words(first.faults)}" + (f" (and {len(more)} more)" if more else "")
    for name, run in server.runs:
        if text := disagreement(run):
            yield f"{name}: {text}"
