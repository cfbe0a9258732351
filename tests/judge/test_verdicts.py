import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from loadtest.experiments.simulation import FifoServer, Stalls, exponential, fixed, simulate
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.method import METHOD
from loadtest.judge.run_result import Run, Warmup
from loadtest.judge.verdict import Evidence, Verdict, judge_run
from loadtest.load.recorder import Tally, Window
from loadtest.load.schedule import Constant, Poisson
from loadtest.records import to_json
from loadtest.report.wording import words

MS = 1_000_000
COUNT = 20_000


def windows(rates: list[int], p50_ms: float = 2.0, waiting: list[int] | None = None) -> list[Window]:
    """A time line of one-second stretches."""
    waits = waiting or [0] * len(rates)
    return [
        Window(number + 1.0, rate, 0, p50_ms, 3.0, 4.0, wait)
        for number, (rate, wait) in enumerate(zip(rates, waits, strict=True))
    ]


def good_tally(response_ms: float = 2.0, lag_ms: float = 0.05, count: int = COUNT) -> Tally:
    """A run without a fault: every answer right, steady, sent on time."""
    tally = Tally(scheduled=count, sent=count, ok=count, windows=windows([count // 20] * 20))
    for histogram, value_ms in ((tally.response, response_ms), (tally.service, response_ms), (tally.lag, lag_ms)):
        histogram.record(np.full(count, round(value_ms * MS)))
    return tally


def evidence(tally: Tally) -> Evidence:
    """Evidence without a fault around this tally."""
    return Evidence(
        tally,
        open_loop=True,
        connections=8,
        rate=tally.scheduled / 20,
        duration_s=20.0,
        client_cpu_share=0.3,
        steal_share=0.001,
        foreign_share=0.01,
        steady_from_s=0.0,
    )


GOOD = evidence(good_tally())


def only_reason(verdict: Verdict) -> str:
    """The one reason of an invalid run."""
    assert not verdict.valid
    assert len(verdict.reasons) == 1
    return words(verdict.reasons[0])


def only_finding(verdict: Verdict) -> str:
    """The one finding of a valid run."""
    assert verdict.valid, verdict.reasons
    assert len(verdict.findings) == 1
    return words(verdict.findings[0])


def test_a_run_without_a_fault_is_valid() -> None:
    """No reason and no finding."""
    assert judge_run(GOOD) == Verdict(True, [], [])


def test_unknown_steal_and_foreign_shares_are_no_reason() -> None:
    """Where the host does not tell, the run is judged by the rest."""
    assert judge_run(replace(GOOD, steal_share=math.nan, foreign_share=math.nan)).valid


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        (replace(GOOD, client_cpu_share=0.95), "the client used 95% of its core"),
        (replace(GOOD, steal_share=0.05), "the hypervisor took 5.0%"),
        (replace(GOOD, foreign_share=0.4), "used 40% of the server's cores"),
        (evidence(Tally()), "no request was due"),
    ],
    ids=["client CPU", "steal", "foreign share", "no request"],
)
def test_what_distorts_a_run_makes_it_invalid(worse: Evidence, reason: str) -> None:
    """Each fault alone is enough, and is named with its figure."""
    assert reason in only_reason(judge_run(replace(worse, rate=GOOD.rate)))


def test_client_without_file_descriptors_makes_a_run_invalid() -> None:
    """That is the client's failure and not the server's."""
    tally = good_tally()
    tally.scheduled += 3
    tally.errors = Counter(out_of_file_descriptors=3)
    assert "the client ran out of file descriptors 3 times" in only_reason(judge_run(evidence(tally)))


def test_wrong_answers_make_a_run_invalid() -> None:
    """One wrong answer in twenty thousand is one too many."""
    tally = good_tally()
    tally.ok, tally.mismatched = COUNT - 1, 1
    assert only_reason(judge_run(evidence(tally))) == "1 of 20,000 answers were wrong"


def test_no_right_answer_makes_a_run_invalid() -> None:
    """Errors alone are a finding, but nothing but errors measures nothing."""
    tally = Tally(scheduled=500, sent=500, errors=Counter(connection_refused=500), windows=windows([0] * 20, math.nan))
    assert "no request was answered correctly (connection_refused 500)" in only_reason(judge_run(evidence(tally)))


@pytest.mark.parametrize(
    ("lag_ms", "response_ms", "valid"),
    [
        (0.19, 0.5, True),  # below the floor
        (0.25, 0.5, False),  # above the floor and half of what is measured
        (5.0, 100.0, True),  # a twentieth of what is measured
        (11.0, 100.0, False),
    ],
)
def test_send_lag_is_held_against_the_response_time(lag_ms: float, response_ms: float, valid: bool) -> None:
    """A tenth of the response time at the same percentile, or 0.2 ms, is allowed."""
    verdict = judge_run(evidence(good_tally(response_ms, lag_ms)))
    assert verdict.valid is valid
    assert all("the client sent late" in words(reason) for reason in verdict.reasons)


def test_a_client_that_reads_late_is_invalid() -> None:
    """Answers that waited 1 ms of 2 ms for the client were not the server's time, in a closed loop too."""
    for open_loop in (True, False):
        tally = good_tally()
        tally.receive_lag.record(np.full(COUNT // 16, round(1.0 * MS)))
        verdict = judge_run(replace(evidence(tally), open_loop=open_loop))
        assert not verdict.valid
        assert all("the client read late" in words(reason) for reason in verdict.reasons)
    tally = good_tally()
    tally.receive_lag.record(np.full(COUNT // 16, round(0.1 * MS)))
    assert judge_run(evidence(tally)).valid


def test_lag_of_the_tail_alone_makes_a_run_invalid() -> None:
    """A median sent on time does not excuse a late 99th percentile."""
    tally = good_tally(lag_ms=0.01)
    tally.lag.record(np.full(COUNT // 50, 3 * MS))
    assert "at p99" in only_reason(judge_run(evidence(tally)))


def test_a_closed_loop_has_no_lag_to_judge() -> None:
    """It has no schedule to be late for."""
    assert judge_run(replace(evidence(good_tally(lag_ms=5.0)), open_loop=False, rate=0.0)).valid


# -- findings


def test_some_errors_are_a_finding() -> None:
    """They are counted by kind, and the run stays valid: a failed request is data."""
    tally = good_tally()
    tally.scheduled += 30
    tally.errors = Counter(http_500=20, timeout=10)
    assert only_finding(judge_run(evidence(tally))) == "30 of 20,030 requests failed (http_500 20, timeout 10)"


@pytest.mark.parametrize(
    ("load", "connections"), [(1.2, 1), (1.5, 8), (1.9, 1), (3.0, 8)], ids=lambda value: f"{value}"
)
def test_overload_is_a_finding_and_stays_valid(load: float, connections: int) -> None:
    """More than the server can serve: the queue grows, whether it drains in the end or requests remain unsent."""
    capacity = 200.0
    server = FifoServer(exponential(connections / capacity, seed=1), workers=connections)
    verdict = simulate(Poisson(load * capacity, 10.0), server, connections=connections).verdict
    assert verdict.valid
    assert [finding for finding in verdict.findings if words(finding).startswith("overload: ")], verdict


@pytest.mark.parametrize("seed", range(12))
def test_a_busy_server_is_not_called_overloaded(seed: int) -> None:
    """At nine tenths of its capacity a queue comes and goes; that is no overload."""
    server = FifoServer(exponential(0.005, seed=seed + 50))
    verdict = simulate(Poisson(180.0, 5.0), server, connections=1, seed=seed).verdict
    assert not [finding for finding in verdict.findings if "overload" in words(finding)], verdict


def test_a_stall_is_not_called_overload() -> None:
    """A server that stalls and catches up carries its load."""
    server = FifoServer(fixed(0.001), stalls=Stalls(20.0, 0.5, first_s=14.0))
    verdict = simulate(Constant(200.0, 20.0), server, connections=4).verdict
    assert not [finding for finding in verdict.findings if "overload" in words(finding)], verdict


def test_requests_never_sent_are_called_overload() -> None:
    """Unsent requests are named as such and counted."""
    tally = good_tally()
    tally.scheduled += 5
    tally.errors = Counter(unsent=5)
    findings = judge_run(evidence(tally)).findings
    assert any("5 requests were never sent" in words(finding) for finding in findings)


def test_a_draw_far_from_its_rate_is_a_finding() -> None:
    """Twice the requests that the rate promises: the reader must know."""
    assert "held +100% of the requests" in only_finding(judge_run(replace(GOOD, rate=GOOD.rate / 2)))


def test_an_unsteady_run_is_a_finding() -> None:
    """Without a steady state the run says so."""
    assert "no steady state" in only_finding(judge_run(replace(GOOD, steady_from_s=None)))


def test_too_few_samples_are_a_finding() -> None:
    """The finding says which percentile is missing and how many answers it takes."""
    tally = good_tally(count=500)
    assert "500 requests are too few for p99 and above (p99 needs 662)" in only_finding(judge_run(evidence(tally)))


# -- percentiles without the samples for them


def test_percentile_without_the_samples_is_null() -> None:
    """p99.9 from 500 requests is refused: null in the JSON, where p90 has its number."""
    result = simulate(Constant(100.0, 5.0), FifoServer(fixed(0.001)), connections=1)
    document = json.loads(to_json(result.result()))
    assert document["requests"]["ok"] == 500
    for key in ("response_time_ms", "service_time_ms"):
        assert document[key]["p99_9"] is None
        assert document[key]["p99"] is None
        assert document[key]["p95"] == pytest.approx(1.0, rel=1e-3)
    assert math.isnan(result.response_ms(99.9))
    assert document["windows"][0]["p50_ms"] == pytest.approx(1.0, rel=1e-3)


def test_result_names_are_those_that_others_read() -> None:
    """The documented names of a run's JSON, and the distribution on demand, which gives back every count."""
    tally = good_tally()
    run = Run("http://host/", "rest", "none", 1, "poisson", 1_000.0, 20.0, 1.0, 8, 1, 1, 10.0)
    measured = MeasuredRun(run, tally, 20.0, 0.3, 6.0, 0.0, Warmup(1_000, 2.1, True), judge_run(evidence(tally)))
    document = json.loads(to_json(measured.result(distribution=True)))
    assert document["schema_version"] == 3
    assert document["method"] == METHOD
    assert document["warmup"] == {"requests": 1_000, "duration_s": 2.1, "steady": True}
    assert set(document["requests"]) == {"scheduled", "sent", "ok", "mismatched", "errors"}
    assert document["throughput_rps"] == COUNT / 20
    for key in ("response_time_ms", "service_time_ms"):
        assert set(document[key]) == {"mean", "p50", "p90", "p95", "p99", "p99_9", "max"}
    assert set(document["send_lag_ms"]) == {"p50", "p99", "max"}
    assert {"valid", "reasons"} <= set(document["verdict"])
    assert sum(document["response_time_distribution"]["counts"]) == COUNT
