"""The servers' own times in a report: beside the client's, and where the two disagree."""

import math
from dataclasses import replace
from typing import Any

import pytest

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import NO_SERVER_TIMES, Finding
from loadtest.judge.result_file import ResultFile
from loadtest.judge.run_result import RunResult
from loadtest.judge.server_times import ServerTimes
from loadtest.records import from_json, to_json
from loadtest.report.figures import Drawn, draw
from loadtest.report.markdown import render
from loadtest.report.page import render_page
from loadtest.report.reading import Results
from loadtest.report.server_times import cross_check


def telling(result: ComparisonResult, missing: int = 0, **times: Any) -> ComparisonResult:
    """The comparison, whose first server tells times and counts in every run, in its first run `missing` too few."""

    def told(run: RunResult, missing: int = 0) -> RunResult:
        answers = run.requests.ok + run.requests.mismatched
        return replace(run, server_times=ServerTimes(answers - missing, **times))

    first, *others = result.servers
    rounds = [
        replace(one, open_loop=told(one.open_loop, missing if number == 0 else 0), closed_loop=told(one.closed_loop))
        for number, one in enumerate(first.rounds)
    ]
    return replace(result, servers=[replace(first, rounds=rounds), *others])


def test_an_older_result_has_no_such_table(comparison: ComparisonResult) -> None:
    """It can still be read and shown."""
    assert cross_check(comparison) is None
    assert "own times" not in render_page(*_drawn(comparison))


def test_the_parts_and_the_difference_add_up(comparison: ComparisonResult) -> None:
    """Queue, inference and rest are the server's time, which with the difference is the client's."""
    found = cross_check(telling(comparison, request_ms=0.5, queue_ms=0.1, inference_ms=0.15))
    assert found is not None
    assert [row[:2] for row in found.table.rows] == [
        [comparison.servers[0].label, "common rate"],
        [comparison.servers[0].label, "closed loop"],
    ]
    for row in found.table.rows:
        service, own, queue, inference, rest, difference, answers, counted = (float(cell or 0) for cell in row[2:])
        assert (own, queue, inference) == pytest.approx((0.5, 0.1, 0.15))
        assert rest == pytest.approx(0.25)
        assert service == pytest.approx(own + difference)
        assert answers == counted > 0
    assert found.remarks == []


def test_a_count_that_disagrees_is_remarked(comparison: ComparisonResult) -> None:
    """The run is named, with both counts; page and report.md say it."""
    result = telling(comparison, missing=3, request_ms=0.5)
    run = result.servers[0].rounds[0].open_loop
    remark = f"the server counted {run.requests.ok - 3:,} requests, and the client has {run.requests.ok:,} answers"
    found = cross_check(result)
    assert found is not None
    assert len(found.remarks) == 1
    assert found.remarks[0].endswith(f"round 1, open loop: {remark}")
    results, drawn = _drawn(result)
    assert remark in render_page(results, drawn)
    assert remark in render(results)
    assert "| — |" in render(results)


def test_what_could_not_be_read_is_told_once(comparison: ComparisonResult) -> None:
    """Of all runs the first one with its reason, and how many more there are."""
    result = telling(comparison, faults=[Finding(NO_SERVER_TIMES, {"why": "HTTP 404"})])
    found = cross_check(result)
    assert found is not None
    assert found.table.rows == []
    assert "round 1, open loop: the server's own times could not be read: HTTP 404 (and " in found.remarks[0]
    assert len(found.remarks) == 1


def test_it_is_in_the_file(comparison: ComparisonResult) -> None:
    """What is written is read back, with what is not known."""
    text = to_json(ResultFile([telling(comparison, request_ms=0.5, queue_ms=math.nan)]))
    back = from_json(text, ResultFile, "result.json").comparisons[0].servers[0].rounds[0].open_loop.server_times
    assert back is not None
    assert back.request_ms == 0.5
    assert math.isnan(back.queue_ms)


def _drawn(result: ComparisonResult) -> tuple[Results, Drawn]:
    results = Results.of(ResultFile([result]))
    return results, draw(results)
