"""Several client processes: they begin together, and the process that started them keeps out of the way."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from typing import Any, cast

import psutil
import pytest
import uvloop

from loadtest.errors import MeasurementError
from loadtest.load import clients as clients_module
from loadtest.load.clients import ClientTask, Progress, run_clients
from loadtest.load.recorder import Recorder, Window
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant
from loadtest.load.session import Endpoint, Phase, Pool, run_phases
from loadtest.machine.placement import process_on
from loadtest.servers.expectation import Anything
from loadtest.wire.http1 import HttpTarget
from tests.wire.programmable import Programmable

MEASURED = Phase(Constant(100.0, 0.4), 1, 5.0)


def tasks(programmable: Programmable, *warmups_s: float) -> list[ClientTask]:
    """A process for each warm-up."""
    endpoint = HttpTarget.build(programmable.listen("fixed").url, [b""], Anything(), method="GET")
    return [ClientTask(endpoint, (Phase(Closed(length), 1, 5.0), MEASURED), 1, ()) for length in warmups_s]


def nothing(progress: Progress) -> None:
    """Nobody is told."""


def test_processes_begin_the_measured_phase_together(programmable: Programmable) -> None:
    """One is done with its warm-up seconds before the other: it waits, and both begin after both are ready."""
    ready: list[int] = []
    collected = run_clients(tasks(programmable, 0.2, 1.5), lambda: ready.append(time.monotonic_ns()), nothing)
    (at,) = ready
    for warmup, measured in collected:
        assert warmup.began < at < measured.began
        assert measured.tally.ok == 40
    long_warmup = collected[1][0]
    assert all(measured.began >= long_warmup.began + 1.5e9 for _, measured in collected)


def test_a_process_that_dies_before_the_start_ends_the_run(programmable: Programmable) -> None:
    """What goes wrong while the others wait is raised, and none of them waits on."""

    def fail() -> None:
        raise RuntimeError("the accounts cannot be read")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="the accounts cannot be read"):
        run_clients(tasks(programmable, 0.1, 0.2), fail, nothing)
    assert time.monotonic() - began < 60


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads are pinned on Linux only")
def test_the_starting_process_is_kept_on_its_cores_and_goes_back(programmable: Programmable) -> None:
    """While the run is under way it is where it was put; afterwards, and after an error, where it was."""
    before = os.sched_getaffinity(0)
    last = max(before)
    seen: list[set[int]] = []
    run_clients(tasks(programmable, 0.1), lambda: seen.append(os.sched_getaffinity(0)), lambda progress: None, (last,))
    assert seen == [{last}]
    assert os.sched_getaffinity(0) == before

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_clients(tasks(programmable, 0.1), fail, nothing, (last,))
    assert os.sched_getaffinity(0) == before


class ScriptedClient:
    """The parent's end of a client of which everything that it will tell was written beforehand."""

    exitcode = None

    def __init__(self, *told: tuple[str, object]) -> None:
        self.parents, self.own = multiprocessing.Pipe()
        for one in told:
            self.own.send(one)


def follow(scripted: list[ScriptedClient]) -> tuple[list[int], list[Progress], dict[Connection, Any]]:
    """Follow scripted clients: when all were ready, the progress that was passed on, and the results."""
    ready: list[int] = []
    passed_on: list[Progress] = []
    results: dict[Connection, Any] = {}
    pipes = cast(Any, {client.parents: client for client in scripted})
    clients_module._follow(pipes, results, lambda: ready.append(time.monotonic_ns()), passed_on.append)
    return ready, passed_on, results


def test_all_processes_are_told_the_same_start() -> None:
    """It lies ahead of the moment at which the accounts have been read, far enough for each to read of it."""
    scripted = [ScriptedClient(("ready", None), ("results", number)) for number in range(3)]
    (ready,), _, results = follow(scripted)
    starts = {client.own.recv() for client in scripted}
    assert len(starts) == 1
    assert starts.pop() >= ready + 20_000_000
    assert list(results.values()) == [0, 1, 2]


def test_progress_is_passed_on_once_for_all_processes() -> None:
    """Three processes that tell of it twice make two sums, and one that waits for the start is not waited for."""
    one = Progress(1, 0, 10.0, 1.0)
    scripted = [ScriptedClient(("progress", one), ("progress", one), ("ready", None), ("results", 0)) for _ in "abc"]
    _, passed_on, _ = follow(scripted)
    assert [(progress.ok, progress.rate) for progress in passed_on] == [(3, 30.0)] * 2
    waiting = ScriptedClient(("ready", None), ("results", 0))
    warming = ScriptedClient(("progress", one), ("progress", one), ("ready", None), ("results", 0))
    assert len(follow([waiting, warming])[1]) == 2


def test_every_stretch_of_the_time_line_is_passed_on_once() -> None:
    """Also where one process reports twice before another does, and after it has ended."""

    def report(*ends: float) -> tuple[str, Progress]:
        windows = [Window(end, 1, 0, 1.0, 1.0, 1.0, 0) for end in ends]
        return "progress", Progress(1, 2, 10.0, 1.0, 1, {"timeout": 1}, windows)

    quick = ScriptedClient(report(1), report(2), report(), ("results", 0))
    slow = ScriptedClient(report(), report(1, 2), report(3), report(4), ("results", 0))
    _, passed_on, _ = follow([quick, slow])
    ends = sorted(window.end_s for progress in passed_on for window in progress.windows)
    assert ends == [1, 1, 2, 2, 3, 4]
    assert (passed_on[0].mismatched, passed_on[0].errors) == (2, {"timeout": 2})


def test_a_client_reports_what_has_ended_since(programmable: Programmable) -> None:
    """Stretches of the length that was asked for, in their order and none twice."""
    seen: list[Window] = []
    endpoint = HttpTarget.build(programmable.listen("fixed").url, [b""], Anything(), method="GET")
    phase = Phase(Constant(100.0, 1.3), 1, 5.0, stretch_s=0.2)
    (results,) = run_clients(
        [ClientTask(endpoint, (phase,), 1, ())], lambda: None, lambda progress: seen.extend(progress.windows)
    )
    assert len(seen) >= 4
    assert seen == results[0].tally.windows[: len(seen)]
    assert [round(window.end_s, 6) for window in seen] == [round(0.2 * (at + 1), 6) for at in range(len(seen))]


def test_a_process_that_is_killed_before_the_start_ends_the_run_in_one_line(programmable: Programmable) -> None:
    """All are ready, and one is killed while the accounts are read: it cannot be told when to start."""

    def kill() -> None:
        me = psutil.Process()
        victim = next(client for child in me.children() for client in child.children())
        victim.send_signal(signal.SIGKILL)
        psutil.wait_procs([victim], timeout=30)

    with pytest.raises(MeasurementError, match="ended with exit code -9"):
        run_clients(tasks(programmable, 0.1, 0.2), kill, nothing)


class WatchedEndpoint:
    """An endpoint whose pool is kept, to look at its connections."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.payloads = endpoint.payloads
        self.pools: list[Any] = []
        self._endpoint = endpoint

    def pool(self, connections: int, loop: asyncio.AbstractEventLoop) -> Pool:
        """The endpoint's pool."""
        self.pools.append(self._endpoint.pool(connections, loop))
        return cast(Pool, self.pools[0])


def test_what_was_closed_while_others_warmed_up_is_open_at_the_start(programmable: Programmable) -> None:
    """A server closes the idle connections of a process that waits: no measured request has to connect."""
    url = programmable.listen("fixed", manner="impatient").url
    watched = WatchedEndpoint(HttpTarget.build(url, [b""], Anything(), method="GET"))
    seen: list[list[bool]] = []

    def opened() -> list[bool]:
        return [slot.is_open for slot in watched.pools[0].slots]

    async def wait_for_the_others() -> int:
        while any(opened()):
            await asyncio.sleep(0.01)
        seen.append(opened())
        return time.monotonic_ns() + 150_000_000

    def look(recorder: Recorder) -> None:
        if len(seen) == 1 and not recorder.ended:
            seen.append(opened())

    phases = [Phase(Closed(0.1), 1, 5.0), Phase(Replay((0.12,)), 1, 5.0)]
    _, measured = uvloop.run(run_phases(watched, phases, 2, look, wait_for_the_others))
    assert seen == [[False, False], [True, True]]
    assert (measured.tally.ok, measured.tally.errors) == (1, {})


def test_no_request_is_due_before_the_time_that_was_told(programmable: Programmable) -> None:
    """The last phase begins at that reading of the clock, open loop or closed, and the first one at once."""
    endpoint = HttpTarget.build(programmable.listen("fixed").url, [b""], Anything(), method="GET")
    for schedule in (Replay((0.0,)), Closed(0.05)):
        told: list[int] = []

        async def start(told: list[int] = told) -> int:
            told.append(time.monotonic_ns() + 100_000_000)
            return told[0]

        phases = [Phase(Closed(0.05), 1, 5.0), Phase(schedule, 1, 5.0)]
        warmup, measured = uvloop.run(run_phases(endpoint, phases, 2, start_last=start))
        assert warmup.began < told[0] <= measured.began
        assert measured.tally.ok >= 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads are pinned on Linux only")
def test_a_thread_that_was_started_meanwhile_is_not_left_on_those_cores() -> None:
    """Every thread, such as the one that draws, is free again afterwards."""
    before = os.sched_getaffinity(0)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    with process_on((max(before),)):
        thread.start()
        assert thread.native_id is not None
        assert os.sched_getaffinity(thread.native_id) == {max(before)}
    assert os.sched_getaffinity(thread.native_id) == before
    over.set()
    thread.join()
