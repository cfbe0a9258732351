"""The search for the capacity, against simulated servers whose capacity is known, in virtual time."""

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from loadtest.cli.capacity import outcome
from loadtest.errors import MeasurementError
from loadtest.experiments.capacity_search import FEWEST_SEARCHES, LONGEST_S, TRIES, RunAt, find_capacity
from loadtest.experiments.simulated_queue import Times, exponential, queue_run, uniform_stalls
from loadtest.experiments.simulation import FaultyServer, FifoServer, simulate
from loadtest.experiments.simulation import exponential as engine_exponential
from loadtest.judge.capacity_result import Capacity, Probe
from loadtest.judge.findings import TOLD, Finding
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.objective import Objective
from loadtest.judge.verdict import Verdict
from loadtest.load.schedule import Poisson
from loadtest.records import from_json, to_json
from loadtest.report.wording import all_words

SERVICE_S = 0.001
SLO = Objective.parse("p99<20ms")
IMPOSSIBLE = Objective.parse("p99<1ms")
MM1_CAPACITY = 1 / SERVICE_S - math.log(100) / 0.020
"""Response times in M/M/1 are exponential with rate mu - lambda, so p99 = ln(100) / (mu - lambda)."""

BUSY = "the host was busy"
Server = Callable[[], AbstractContextManager[RunAt]]


def mm1(rate: float, duration_s: float, seed: int) -> MeasuredRun:
    """Poisson load against one worker with exponential service times."""
    return queue_run(rate, duration_s, seed, exponential(SERVICE_S))


def server(run: RunAt) -> Server:
    """A server that every search finds alike."""
    return lambda: contextlib.nullcontext(run)


def spoil(result: MeasuredRun) -> MeasuredRun:
    """The same run on a host that took the client's processor away."""
    return replace(result, verdict=Verdict(False, [Finding(TOLD, {"text": BUSY})]))


def limited(from_rate: float) -> Server:
    """The client can offer less than this rate only."""
    return server(
        lambda rate, duration_s, seed: (
            spoil(mm1(rate, duration_s, seed)) if rate >= from_rate else mm1(rate, duration_s, seed)
        )
    )


@pytest.mark.parametrize("start", [20.0, 400.0, 6_000.0])
def test_the_capacity_is_that_of_the_formula(start: float) -> None:
    """M/M/1: wherever the search begins, the estimate is near the closed form and its interval holds it."""
    found = find_capacity(server(mm1), SLO, start=start, precision=0.05, probe_s=30.0)
    assert found.rate_rps == found.estimate_rps.value == pytest.approx(MM1_CAPACITY, rel=0.05)
    assert found.estimate_rps.low <= MM1_CAPACITY <= found.estimate_rps.high
    assert not found.bounded_by_client
    assert found.limits == []


STALLING = uniform_stalls(3.0, 0.020, 0.060)
STALLING_CAPACITY = 1_241.0
"""Of 1,500/s with these stalls at p99<50ms, as the long simulation of benchmarks/capacity_search.py has it."""


def stalling(rate: float, duration_s: float, seed: int) -> MeasuredRun:
    """One worker that stops for 20 to 60 ms every 3 s or so."""
    return queue_run(rate, duration_s, seed, exponential(1 / 1500), stalls=STALLING)


def test_a_server_that_stalls_has_the_capacity_of_the_long_run() -> None:
    """Nineteen of twenty seeds end within 10 % of the truth: no short run that a stall has hit decides."""
    slo = Objective.parse("p99<50ms")
    found = [find_capacity(server(stalling), slo, start=700.0, seed=1 + 1_000 * seed) for seed in range(20)]
    near = sum(abs(one.rate_rps / STALLING_CAPACITY - 1) <= 0.10 for one in found)
    covered = sum(one.estimate_rps.low <= STALLING_CAPACITY <= one.estimate_rps.high for one in found)
    assert near >= 19
    assert covered >= 17


def test_each_search_has_a_server_of_its_own() -> None:
    """Servers differ by 10 % from start to start: the interval tells it, where that of one process would not."""
    started: list[float] = []

    @contextlib.contextmanager
    def anew() -> Iterator[RunAt]:
        speed = (0.9, 1.0, 1.1)[len(started) % 3]
        started.append(speed)
        service: Times = exponential(SERVICE_S / speed)
        yield lambda rate, duration_s, seed: queue_run(rate, duration_s, seed, service)

    found = find_capacity(anew, SLO, start=300.0, searches=6, probe_s=30.0)
    assert len(started) == 1 + len(found.searches)  # one more looks for the range
    assert {probe.search for probe in found.probes} == set(range(len(started)))
    assert found.estimate_rps.high / found.estimate_rps.low > 1.1
    alike = find_capacity(server(mm1), SLO, start=300.0, searches=6, probe_s=30.0)
    assert alike.estimate_rps.high / alike.estimate_rps.low < found.estimate_rps.high / found.estimate_rps.low


def test_one_bad_moment_does_not_decide() -> None:
    """A look that a single pause has spoilt for the server is taken again, and the estimate is that of all probes."""
    bad = iter([True])

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        hit = 300 < rate < 900 and next(bad, False)
        return queue_run(
            rate, duration_s, seed, exponential(SERVICE_S), stalls=uniform_stalls(2, 0.04, 0.05) if hit else None
        )

    found = find_capacity(server(run), SLO, start=100.0)
    assert found.rate_rps == pytest.approx(MM1_CAPACITY, rel=0.1)


def test_the_searches_end_when_the_interval_is_narrow_enough() -> None:
    """A wide precision needs the fewest searches, an unreachable one takes all of them."""
    wide = find_capacity(server(mm1), SLO, start=400.0, precision=0.9, searches=7)
    narrow = find_capacity(server(mm1), SLO, start=400.0, precision=0.0, searches=7)
    assert len(wide.searches) == FEWEST_SEARCHES
    assert len(narrow.searches) == 7
    assert wide.probes == narrow.probes[: len(wide.probes)]


def test_every_probe_has_a_schedule_of_its_own() -> None:
    """No two probes share a seed, and each is told when it is over."""
    told: list[Probe] = []
    found = find_capacity(server(mm1), SLO, start=300.0, searches=2, probe_s=5.0, on_probe=told.append)
    assert told == found.probes
    assert len({probe.seed for probe in told}) == len(told)


def test_a_probe_lasts_until_its_percentile_has_requests_within_a_bound() -> None:
    """At low rates probes are longer than asked, never longer than half a minute, and at high rates as asked."""
    durations: dict[float, float] = {}

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        durations[rate] = duration_s
        return mm1(rate, duration_s, seed)

    find_capacity(server(run), SLO, start=1.0, searches=1, probe_s=4.0)
    assert durations[1.0] == LONGEST_S
    assert durations[64.0] == pytest.approx(300 / 64)
    assert durations[max(durations)] == 1.0
    assert {probe_s for rate, probe_s in durations.items() if 700 < rate < 900} <= {1.0, 4.0}


def test_a_server_that_meets_it_at_no_rate_has_none() -> None:
    """Zero is a result about the server, and no limit of the client; it lies below the lowest rate that was tried."""
    found = find_capacity(server(mm1), IMPOSSIBLE, start=500.0, probe_s=2.0)
    assert found.rate_rps == 0
    assert not found.bounded_by_client
    assert not any(probe.met for probe in found.probes)
    assert (found.estimate_rps.low, found.estimate_rps.high) == (0, min(probe.rate for probe in found.probes))


def test_failures_within_the_percentile_but_beyond_their_budget_are_no_capacity() -> None:
    """Half a per cent of failures leaves p99 alone and breaks a budget of 0.1 %; one of 1 % is kept."""

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        queue = FifoServer(engine_exponential(SERVICE_S, seed=1_000_000 + seed))
        failing = FaultyServer(queue, {"http_503": 0.005}, seed=2_000_000 + seed)
        return simulate(Poisson(rate, duration_s), failing, connections=64, seed=seed)

    assert find_capacity(server(run), SLO, start=200.0, probe_s=4.0).rate_rps == 0
    lenient = Objective.parse("p99<20ms", "<1%")
    found = find_capacity(server(run), lenient, start=200.0, probe_s=4.0)
    assert found.rate_rps == pytest.approx(1 / SERVICE_S - math.log(0.995 / 0.005) / 0.020, rel=0.1)


def test_a_server_that_sheds_load_has_the_capacity_at_which_it_starts_to() -> None:
    """Beyond 500/s what is too much is refused at once: every answer is fast, and the budget of failures decides."""

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        refused = max(1 - 500 / rate, 0.0)
        failing = FaultyServer(
            FifoServer(engine_exponential(1e-4, seed=1_000_000 + seed)), {"http_503": refused}, seed=2_000_000 + seed
        )
        return simulate(Poisson(rate, duration_s), failing, connections=64, seed=seed)

    found = find_capacity(server(run), SLO, start=100.0, probe_s=4.0)
    assert found.rate_rps == pytest.approx(500, rel=0.1)


def test_a_spoiled_probe_is_taken_again() -> None:
    """Two spoiled runs in a row are no limit, and neither is among the probes."""
    count = itertools.count()

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        result = mm1(rate, duration_s, seed)
        return result if next(count) % TRIES == TRIES - 1 else spoil(result)

    found = find_capacity(server(run), SLO, start=400.0, searches=4)
    assert found.rate_rps == pytest.approx(MM1_CAPACITY, rel=0.1)
    assert not found.bounded_by_client
    assert next(count) == TRIES * len(found.probes)


def test_a_limit_of_the_client_makes_the_rate_a_lower_bound() -> None:
    """Beyond 500 the client cannot go: the highest rate met is reported, and why there is no higher one."""
    found = find_capacity(limited(500.0), SLO, start=100.0)
    assert found.rate_rps == found.estimate_rps.value == 400
    assert math.isnan(found.estimate_rps.high)
    assert found.searches == [400]
    assert found.bounded_by_client
    assert all_words(found.limits) == f"the client could not offer 800 requests per second; {BUSY}"


def test_a_limit_inside_the_range_keeps_what_was_met() -> None:
    """400 is met and 1,600 missed; between them the client fails: 400 is what is known."""

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        result = mm1(rate, duration_s, seed)
        return spoil(result) if 400 < rate < 900 else result

    found = find_capacity(server(run), SLO, start=100.0)
    assert found.rate_rps == 400
    assert found.bounded_by_client


@pytest.mark.parametrize(("complete", "bounded"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_host_that_becomes_busy_late_takes_nothing_from_the_searches(complete: int, bounded: bool) -> None:
    """After three searches there is an interval, which stands; before that there is a lower bound; both are told."""
    started = itertools.count(-1)

    def anew() -> AbstractContextManager[RunAt]:
        late = next(started) >= complete
        return contextlib.nullcontext(
            lambda rate, duration_s, seed: spoil(mm1(rate, 1.0, seed)) if late else mm1(rate, duration_s, seed)
        )

    found = find_capacity(anew, SLO, start=100.0, precision=0.0)
    assert found.bounded_by_client is bounded
    assert max(probe.search for probe in found.probes) == complete
    assert len(found.searches) == (1 if bounded else complete)
    assert BUSY in all_words(found.limits)
    assert ("at least" in outcome(found, "Q")[0]) is bounded
    assert BUSY in outcome(found, "Q")[1]


def test_no_valid_probe_is_an_error() -> None:
    """With nothing measured there is nothing to report, and the reason is named."""
    with pytest.raises(MeasurementError, match="no probe was valid") as failure:
        find_capacity(limited(0.0), SLO, start=100.0, probe_s=1.0)
    assert all_words(failure.value.findings) == f"the client could not offer 100 requests per second; {BUSY}"


def test_a_limit_with_nothing_met_is_no_rate() -> None:
    """The first rate is missed and below it the client fails: 0, bounded by the client, with the reason."""

    def run(rate: float, duration_s: float, seed: int) -> MeasuredRun:
        result = mm1(rate, duration_s, seed)
        return result if rate >= 2000 else spoil(result)

    found = find_capacity(server(run), SLO, start=2000.0)
    assert found.rate_rps == 0
    assert BUSY in all_words(found.limits)


@pytest.mark.parametrize(
    ("at", "slo", "told"),
    [
        pytest.param(server(mm1), SLO, "[bold]Q[/bold]: 7", id="found"),
        pytest.param(limited(500.0), SLO, "[bold]Q[/bold]: at least 400 requests/s meet p99<20ms", id="client limit"),
        pytest.param(server(mm1), IMPOSSIBLE, "[bold]Q[/bold]: no rate was found that meets p99<1ms", id="none"),
    ],
)
def test_the_outcome_says_what_is_known(at: Server, slo: Objective, told: str) -> None:
    """One search has no interval, a lower bound is called one, and the limit stands beside it."""
    found = find_capacity(at, slo, start=100.0, searches=1, probe_s=30.0)
    first, *more = outcome(found, "Q")
    assert first.startswith(told)
    assert "nan" not in first
    assert "95 %" not in first
    assert [BUSY in line for line in more] == [True] * found.bounded_by_client


def test_searches_on_one_process_are_told() -> None:
    """A server that was up already is not started anew, and the outcome says so."""
    found = find_capacity(server(mm1), SLO, start=400.0, searches=3, fresh=False)
    assert "95 %" in outcome(found, "Q")[0]
    assert "share one process" in outcome(found, "Q")[1]
    assert len(outcome(replace(found, fresh_servers=True), "Q")) == 1


def test_the_document_is_plain_json() -> None:
    """No NaN and no infinity, also where a probe had no percentile and there was one search."""
    found = find_capacity(limited(500.0), SLO, start=100.0, searches=1)
    found.probes.append(Probe(900.0, 99, met=False, observed_ms=math.inf, failed_share=0.5))
    document = json.loads(to_json(found))
    assert document["bounded_by_client"] is True
    assert [limit["code"] for limit in document["limits"]] == [limit.code for limit in found.limits]
    assert document["probes"][-1]["observed_ms"] == "Infinity"
    undisturbed = find_capacity(server(mm1), SLO, start=400.0, searches=1)
    assert json.loads(to_json(undisturbed))["bounded_by_client"] is False


def test_a_record_of_before_still_reads() -> None:
    """What it did not tell of its probes is not known."""
    text = to_json(find_capacity(server(mm1), SLO, start=400.0, searches=3))
    document = json.loads(text)
    del document["fresh_servers"]
    for probe in document["probes"]:
        for name in ("requests", "slow", "duration_s", "search"):
            del probe[name]
    old = from_json(json.dumps(document).encode(), Capacity, "old")
    assert old.fresh_servers is None
    assert {probe.requests for probe in old.probes} == {0}
    assert math.isnan(old.probes[0].duration_s)


@pytest.mark.parametrize("near", [0.8, 1.3])
def test_where_the_capacity_is_about_known_no_range_is_looked_for(near: float) -> None:
    """All probes are those of searches, and they come to the truth from either side."""
    found = find_capacity(server(mm1), SLO, near=near * MM1_CAPACITY, searches=6, probe_s=30.0)
    assert {probe.search for probe in found.probes} == set(range(1, len(found.searches) + 1))
    assert found.rate_rps == pytest.approx(MM1_CAPACITY, rel=0.05)


def test_the_first_probe_where_nothing_is_known_may_be_spoiled() -> None:
    """No probe is valid, and that is said as it is elsewhere."""
    with pytest.raises(MeasurementError, match="no probe was valid"):
        find_capacity(limited(0.0), SLO, near=500.0)
