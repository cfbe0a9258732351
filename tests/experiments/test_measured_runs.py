"""Whole runs in client processes of their own, against a real server."""

import json
import math
import subprocess
import sys
import time

import psutil
import pytest

from loadtest.errors import MeasurementError, UsageError
from loadtest.experiments.measured_run import measure, resolve
from loadtest.judge.measured import MeasuredRun
from loadtest.load.clients import Progress
from loadtest.load.plan import Load
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant, Poisson
from loadtest.machine.placement import choose_placement
from loadtest.records import to_json
from loadtest.report.wording import words
from loadtest.servers.expectation import Exactly
from loadtest.wire.http1 import HttpTarget
from tests.wire.programmable import RIGHT, WRONG, Programmable

BODY = b'{"instances": [[1.0, 2.0]]}'


def run(url: str, load: Load, expected: bytes = RIGHT) -> MeasuredRun:
    """Measure, and check what holds for every result."""
    endpoint = resolve(HttpTarget.build(url, [BODY], Exactly(expected)))
    result, usage = measure(endpoint, load, target=url, expectation="file")
    assert usage is None
    tally = result.tally
    assert tally.ok + tally.mismatched + tally.errors.total() == tally.scheduled
    assert tally.response.count == tally.service.count == tally.lag.count == tally.ok
    assert sum(window.ok for window in tally.windows) == tally.ok
    return result


def clients() -> list[psutil.Process]:
    """The client processes that this process has at present: what its fork server has started."""
    me = psutil.Process()
    return [client for child in me.children() for client in child.children()]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_counts_are_exact_over_several_processes(programmable: Programmable, processes: int) -> None:
    """A constant rate, dealt out and merged: not one request more or less, on exactly the connections asked for."""
    port = programmable.listen("fixed")
    result = run(port.url, Load(Constant(200.0, 1.0), warmup_s=0.0, connections=7, processes=processes))
    assert (result.tally.scheduled, result.tally.ok) == (200, 200)
    counts = port.counts
    assert (counts["requests"], counts["connections"]) == (200, 7)
    document = json.loads(to_json(result.result()))
    assert document["run"]["processes"] == processes
    assert document["windows"][-1]["end_s"] > 0.9


def test_warm_up_is_counted_apart(programmable: Programmable) -> None:
    """What the server saw is the warm-up and the measured requests, and only the latter are in the result."""
    port = programmable.listen("fixed")
    result = run(port.url, Load(Poisson(200.0, 0.5), warmup_s=0.5, connections=4, seed=3))
    assert result.warmup is not None
    assert result.tally.scheduled == sum(1 for _ in Poisson(200.0, 0.5).times(3))
    assert port.counts["requests"] == result.warmup.requests + result.tally.sent


def test_closed_loop_in_two_processes(programmable: Programmable) -> None:
    """Two processes of two connections each, 10 ms a request: at most 4 / 0.01 a second, and all are counted."""
    port = programmable.listen("fixed", delay_ms=10)
    result = run(port.url, Load(Closed(1.0), warmup_s=0.0, connections=4, processes=2))
    assert result.tally.ok == port.counts["requests"]
    assert 40 < result.tally.ok <= 404
    assert result.tally.response.min >= 9_900_000
    assert result.tally.response.total == result.tally.service.total


def test_fixed_delay_in_a_process_of_its_own(programmable: Programmable) -> None:
    """20 ms: nothing is faster and the median is near it; exponential delays have no smaller median than due."""
    port = programmable.listen("fixed", delay_ms=20)
    result = run(port.url, Load(Poisson(100.0, 1.0), warmup_s=0.2, connections=32))
    assert result.tally.response.min >= 19_900_000
    assert 19.9 <= result.response_ms(50) < 60
    wild = run(
        programmable.listen("exponential", mean_ms=20.0).url, Load(Poisson(100.0, 2.0), warmup_s=0, connections=64)
    )
    assert wild.tally.ok == wild.tally.scheduled
    median_ms, spread = 20 * math.log(2), 4 * 20 / math.sqrt(wild.tally.ok)
    assert wild.response_ms(50) > median_ms - spread


def test_wrong_answers_make_the_run_invalid(programmable: Programmable) -> None:
    """Every fifth answer is wrong: counted exactly, and the verdict says so."""
    port = programmable.listen("wrong", every=5)
    result = run(port.url, Load(Constant(200.0, 0.5), warmup_s=0.0, connections=4))
    assert result.tally.mismatched == port.counts["wrong"] == 20
    assert not result.verdict.valid
    assert "20 of 100 answers were wrong" in map(words, result.verdict.reasons)


def test_a_run_of_wrong_answers_alone(programmable: Programmable) -> None:
    """No right answer, no times: null in the JSON, and invalid for two reasons."""
    result = run(programmable.listen("fixed").url, Load(Constant(100.0, 0.3), warmup_s=0.0), expected=WRONG)
    document = json.loads(to_json(result.result()))
    assert document["requests"]["mismatched"] == 30
    times = document["response_time_ms"]
    assert (times["mean"], times["max"], times["p99"]) == (None, None, None), "30 requests are too few for p99"
    assert times["p50"] == "Infinity"
    assert document["throughput_rps"] == 0
    assert any("no request was answered correctly" in words(reason) for reason in result.verdict.reasons)


def test_server_killed_in_mid_run(mortal_server: Programmable) -> None:
    """The rest is counted as errors, the run ends with its schedule, and nobody calls it an overload."""
    url = mortal_server.listen("fixed").url
    endpoint = resolve(HttpTarget.build(url, [BODY], Exactly(RIGHT)))
    killed = False

    def kill(progress: Progress) -> None:
        nonlocal killed
        if progress.ok > 0 and not killed:
            killed = True
            mortal_server.kill()

    load = Load(Constant(100.0, 4.0), warmup_s=0.0, connections=4)
    result, _ = measure(endpoint, load, target=url, on_progress=kill)
    tally = result.tally
    assert killed
    assert tally.scheduled == 400
    assert tally.ok + tally.errors.total() == 400
    assert tally.ok > 0
    assert tally.errors["connection_refused"] > 0
    assert set(tally.errors) <= {
        "connection_refused", "connection_closed", "connection_reset", "connection_lost", "connect_failed"
    }  # fmt: skip
    assert not any("overload" in words(finding) for finding in result.verdict.findings)
    assert any("requests failed" in words(finding) for finding in result.verdict.findings)


def test_refused_from_the_start(mortal_server: Programmable) -> None:
    """A server that is not there: every request is an error of one kind, the run is invalid, nothing is raised."""
    url = mortal_server.listen("fixed").url
    mortal_server.kill()
    result = run(url, Load(Constant(100.0, 0.5), warmup_s=0.2, connections=4))
    assert result.tally.errors == {"connection_refused": 50}
    assert any("connection_refused 50" in words(reason) for reason in result.verdict.reasons)


def test_replay_over_more_processes_than_offsets(programmable: Programmable) -> None:
    """Three recorded requests over four processes: three are sent."""
    port = programmable.listen("fixed")
    load = Load(Replay((0.0, 0.1, 0.2)), warmup_s=0.0, connections=4, processes=4)
    assert run(port.url, load).tally.ok == 3
    assert port.counts["requests"] == 3


def test_same_seed_same_requests(programmable: Programmable) -> None:
    """Two runs of a seed have the same number of requests, and another seed has its own."""
    port = programmable.listen("fixed")
    counts = [
        run(port.url, Load(Poisson(300.0, 0.4), warmup_s=0.0, processes=2, connections=4, seed=seed)).tally.scheduled
        for seed in (5, 5, 6)
    ]
    assert counts[0] == counts[1]
    assert counts[0] != counts[2]


def test_pinned_client(programmable: Programmable) -> None:
    """With the client on a core of its own the result is as whole as without."""
    port = programmable.listen("fixed")
    endpoint = resolve(HttpTarget.build(port.url, [BODY], Exactly(RIGHT)))
    load = Load(Constant(100.0, 0.3), warmup_s=0.0, connections=2)
    result, _ = measure(endpoint, load, target=port.url, placement=choose_placement(pin=True))
    assert result.tally.ok == port.counts["requests"] == 30


def test_client_process_that_dies_ends_the_measurement(programmable: Programmable) -> None:
    """One of two clients is killed: one line says so, and the other one does not live on."""
    url = programmable.listen("fixed").url
    endpoint = resolve(HttpTarget.build(url, [BODY], Exactly(RIGHT)))

    def kill(progress: Progress) -> None:
        for client in clients()[:1]:
            client.kill()

    load = Load(Constant(100.0, 20.0), warmup_s=0.0, connections=4, processes=2)
    with pytest.raises(MeasurementError, match="ended with exit code -9") as caught:
        measure(endpoint, load, target=url, on_progress=kill)
    assert "\n" not in str(caught.value)
    deadline = time.monotonic() + 10
    while clients() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert clients() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"connections": 0},
        {"connections": 1_000_000},
        {"processes": 0},
        {"processes": 9, "connections": 8},
        {"warmup_s": -1.0},
        {"warmup_s": math.inf},
        {"timeout_s": 0.0},
        {"timeout_s": math.nan},
        {"timeout_s": math.inf},
        {"seed": -1},
    ],
    ids=str,
)
def test_impossible_loads_are_refused(bad: dict[str, float]) -> None:
    """Before anything is started, in one line."""
    with pytest.raises(UsageError) as caught:
        Load(Constant(1.0, 1.0), **bad)  # type: ignore[arg-type]  # a mapping of mixed fields
    assert "\n" not in str(caught.value)


MEMORY = """
import resource
from loadtest.load.schedule import Poisson
from loadtest.experiments.simulation import FifoServer, exponential, simulate
peaks = []
for duration_s in (400.0, 4000.0):
    result = simulate(Poisson(500.0, duration_s), FifoServer(exponential(0.001, 1)), connections=8)
    assert result.tally.ok > 490 * duration_s
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(*peaks)
"""


@pytest.mark.slow
def test_memory_of_two_million_requests_is_that_of_two_hundred_thousand() -> None:
    """Histograms and not lists: the peak of a process grows by less than 4 MiB, two bytes for each further request."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())
    assert large - small < 4 * 1024
