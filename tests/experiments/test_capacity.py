"""The search for the capacity, against simulated servers whose capacity is known, in virtual time."""

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from loadtest.cli.capacity import outcome
from loadtest.errors import MeasurementError
from loadtest.experiments.capacity_search import TRIES, find_capacity
from loadtest.experiments.simulation import FifoServer, exponential, simulate
from loadtest.judge.capacity_result import Probe
from loadtest.judge.findings import TOLD, Finding
from loadtest.judge.objective import Objective
from loadtest.judge.run_result import MeasuredRun
from loadtest.judge.verdict import Verdict
from loadtest.load.schedule import Poisson
from loadtest.records import to_json
from loadtest.report.wording import all_words

SERVICE_S = 0.001
SLO = Objective.parse("p99<20ms")
IMPOSSIBLE = Objective.parse("p99<1ms")
MM1_CAPACITY = 1 / SERVICE_S - math.log(100) / 0.020
"""Sojourn times in M/M/1 are exponential with rate mu - lambda, so p99 = ln(100) / (mu - lambda)."""

BUSY = "the host was busy"
Run = Callable[[float, float, int], MeasuredRun]


def mm1(rate: float, duration_s: float, seed: int) -> MeasuredRun:
    """Poisson load against one worker with exponential service times."""
    server = FifoServer(exponential(SERVICE_S, seed=1000 + seed))
    return simulate(Poisson(rate, duration_s), server, connections=64, seed=seed)


def spoil(result: MeasuredRun) -> MeasuredRun:
    """The same run on a host that took the client's processor away."""
    return replace(result, verdict=Verdict(False, [Finding(TOLD, {"text": BUSY})]))


def limited(from_rate: float) -> Run:
    """The client can offer less than this rate only."""
    return lambda rate, duration_s, seed: (
        spoil(mm1(rate, duration_s, seed)) if rate >= from_rate else mm1(rate, duration_s, seed)
    )


def test_the_capacity_is_that_of_the_formula() -> None:
    """M/M/1: each search ends near the closed form, and the reported rate was met by a run of its own."""
    found = find_capacity(mm1, SLO, start=100.0, precision=0.02, searches=3, min_duration_s=120.0)
    assert found.searches == pytest.approx([MM1_CAPACITY] * 3, rel=0.05)
    assert found.estimate_rps.low <= found.estimate_rps.value <= found.estimate_rps.high
    assert found.rate_rps == pytest.approx(MM1_CAPACITY, rel=0.05)
    assert found.probes[-1] == replace(found.probes[-1], rate=found.rate_rps, met=True)
    assert not found.bounded_by_client
    assert found.limits == []


def test_every_probe_has_a_schedule_of_its_own() -> None:
    """No two probes of a search share a seed: its repetitions are independent."""
    told: list[Probe] = []
    found = find_capacity(mm1, SLO, start=300.0, precision=0.1, searches=2, min_duration_s=5.0, on_probe=told.append)
    assert told == found.probes
    assert len({probe.seed for probe in told}) == len(told)


def test_a_probe_has_the_requests_its_percentile_needs() -> None:
    """At a low rate it lasts longer than the shortest duration."""
    durations: dict[float, float] = {}

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        durations[rate] = duration_s
        return mm1(rate, duration_s, seed)

    find_capacity(run, SLO, start=10.0, precision=0.5, searches=1, min_duration_s=1.0)
    assert durations[10.0] == SLO.samples / 10.0
    assert durations[max(durations)] == max(1.0, SLO.samples / max(durations))


def test_a_search_begins_below_its_first_rate_where_that_is_too_much() -> None:
    """The first rate misses: halving finds one that does not."""
    found = find_capacity(mm1, SLO, start=6000.0, precision=0.05, searches=1, min_duration_s=30.0)
    assert found.rate_rps == pytest.approx(MM1_CAPACITY, rel=0.1)


def test_a_server_that_meets_it_at_no_rate_has_none() -> None:
    """Zero is a result about the server, and no limit of the client."""
    found = find_capacity(mm1, IMPOSSIBLE, start=500.0, searches=2, min_duration_s=2.0)
    assert found.rate_rps == 0
    assert not found.bounded_by_client
    assert not any(probe.met for probe in found.probes)


def test_a_spoiled_probe_is_taken_again() -> None:
    """Two spoiled runs in a row are no limit, and neither is among the probes."""
    count = itertools.count()

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        result = mm1(rate, duration_s, seed)
        return result if next(count) % TRIES == TRIES - 1 else spoil(result)

    found = find_capacity(run, SLO, start=400.0, precision=0.1, searches=1, min_duration_s=20.0)
    assert found.rate_rps == pytest.approx(MM1_CAPACITY, rel=0.15)
    assert not found.bounded_by_client
    assert next(count) == TRIES * len(found.probes)


def test_a_limit_of_the_client_makes_the_rate_a_lower_bound() -> None:
    """Beyond 500 the client cannot go: the highest rate met is reported, and why there is no higher one."""
    found = find_capacity(limited(500.0), SLO, start=100.0, searches=3, min_duration_s=30.0)
    assert found.rate_rps == 400
    assert found.searches == [400]
    assert found.bounded_by_client
    assert all_words(found.limits) == f"the client could not offer 800 requests per second; {BUSY}"


def test_a_limit_inside_the_bracket_keeps_what_was_met() -> None:
    """400 is met and 800 missed; between them the client fails: 400 is what is known."""

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        result = mm1(rate, duration_s, seed)
        return spoil(result) if 400 < rate < 800 else result

    found = find_capacity(run, SLO, start=100.0, searches=3, min_duration_s=30.0)
    assert found.rate_rps == 400
    assert max(probe.rate for probe in found.probes) == 800
    assert found.bounded_by_client


def test_a_limit_in_the_last_run_keeps_the_search() -> None:
    """The confirming run alone is spoiled: the searches stand, and the rate is the highest one met below all misses."""
    undisturbed = find_capacity(mm1, SLO, start=100.0, precision=0.1, searches=1, min_duration_s=30.0)
    before = undisturbed.probes[-1].seed

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        result = mm1(rate, duration_s, seed)
        return spoil(result) if seed >= before else result

    found = find_capacity(run, SLO, start=100.0, precision=0.1, searches=1, min_duration_s=30.0)
    assert found.searches == undisturbed.searches
    assert found.probes == undisturbed.probes[:-1]
    assert found.rate_rps == undisturbed.searches[0]
    assert found.bounded_by_client


def test_a_miss_outranks_a_rate_met_above_it() -> None:
    """Where probes contradict each other the lower bound lies below every miss."""
    missed = iter([False, True, True, False])  # at 500 and 1,000, then in the second search at 350 and 175

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        overload = next(missed, None)
        return spoil(mm1(rate, duration_s, seed)) if overload is None else mm1(5000.0 if overload else 300.0, 5.0, seed)

    found = find_capacity(run, SLO, start=500.0, precision=0.5, searches=2, min_duration_s=5.0)
    assert [(probe.rate, probe.met) for probe in found.probes] == [
        (500, True),
        (1000, False),
        (350, False),
        (175, True),
    ]
    assert found.rate_rps == 175
    assert found.bounded_by_client


def test_no_valid_probe_is_an_error() -> None:
    """With nothing measured there is nothing to report, and the reason is named."""
    with pytest.raises(MeasurementError, match="no probe was valid") as failure:
        find_capacity(limited(0.0), SLO, start=100.0, min_duration_s=1.0)
    assert all_words(failure.value.findings) == f"the client could not offer 100 requests per second; {BUSY}"


def test_a_limit_with_nothing_met_is_no_rate() -> None:
    """The first rate is missed and below it the client fails: 0, bounded by the client, with the reason."""

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        result = mm1(rate, duration_s, seed)
        return result if rate >= 2000 else spoil(result)

    found = find_capacity(run, SLO, start=2000.0, min_duration_s=2.0)
    assert found.rate_rps == 0
    assert BUSY in all_words(found.limits)


@pytest.mark.parametrize(
    ("run", "slo", "told"),
    [
        pytest.param(mm1, SLO, "[bold]Q[/bold]: 7", id="found"),
        pytest.param(limited(500.0), SLO, "[bold]Q[/bold]: at least 400 requests/s meet p99<20ms", id="client limit"),
        pytest.param(mm1, IMPOSSIBLE, "[bold]Q[/bold]: no rate was found that meets p99<1ms", id="none"),
    ],
)
def test_the_outcome_says_what_is_known(run: Run, slo: Objective, told: str) -> None:
    """One search has no interval, a lower bound is called one, and the limit stands beside it."""
    found = find_capacity(run, slo, start=100.0, precision=0.02, searches=1, min_duration_s=60.0)
    first, *more = outcome(found, "Q")
    assert first.startswith(told)
    assert "nan" not in first
    assert [BUSY in line for line in more] == [True] * found.bounded_by_client


def test_the_document_is_plain_json() -> None:
    """No NaN and no infinity, also where a probe had no percentile and there was one search."""
    found = find_capacity(limited(500.0), SLO, start=100.0, searches=1, min_duration_s=10.0)
    found.probes.append(Probe(900.0, 99, met=False, observed_ms=math.inf, failed_share=0.5))
    document = json.loads(to_json(found))
    assert document["bounded_by_client"] is True
    assert [limit["code"] for limit in document["limits"]] == [limit.code for limit in found.limits]
    assert document["probes"][-1]["observed_ms"] == "Infinity"
    undisturbed = find_capacity(mm1, SLO, start=400.0, precision=0.5, searches=1, min_duration_s=5.0)
    assert json.loads(to_json(undisturbed))["bounded_by_client"] is False
