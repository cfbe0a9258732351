"""Client processes: each runs its part of a load on a core of its own and sends home what it measured."""

import asyncio
import atexit
import functools
import math
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from loadtest.errors import LoadtestError, MeasurementError
from loadtest.load.recorder import Recorder, Window
from loadtest.load.session import Endpoint, Phase, PhaseResult, run_phases
from loadtest.machine.ending import end_with_parent, held_signals
from loadtest.machine.placement import process_on
from loadtest.machine.run_folder import RunFolder

IGNORED_INTERRUPTS = "loadtest.load.ignored_interrupts"
START_AHEAD_NS = 50_000_000
"""The common start lies so far ahead that every process has read of it by then."""

SOCKET_PATH_LIMIT = 104
"""Bytes of the path of a Unix socket, the final zero included; Linux has 108, macOS 104."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        ok: Correct answers so far.
        failed: Failures so far.
        rate: Correct answers per second in the last stretch of the time line.
        p99_ms: Their 99th percentile, in milliseconds.
        mismatched: How many of the failures are wrong answers.
        errors: The others by kind.
        windows: Those of the time line that have ended since the last report; of several processes side by side.
    """

    ok: int
    failed: int
    rate: float
    p99_ms: float
    mismatched: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    windows: Sequence[Window] = ()

    def __str__(self) -> str:
        if math.isnan(self.p99_ms):  # nothing was answered in the last stretch, or it is the first one
            return f"{self.ok:,} answered, {self.failed:,} failed"
        return f"{self.rate:,.0f}/s, p99 {self.p99_ms:.1f} ms, {self.ok:,} answered, {self.failed:,} failed"


@dataclass(frozen=True)
class ClientTask:
    """What one client process does.

    Attributes:
        endpoint: Where its requests go.
        phases: What it runs, one after the other; the last one is measured.
        connections: Its connections.
        cores: Where it runs; anywhere if empty.
        kernel_stamps: Whether the kernel is asked when each answer came in.
    """

    endpoint: Endpoint
    phases: tuple[Phase, ...]
    connections: int
    cores: tuple[int, ...]
    kernel_stamps: bool = False


def run_clients(
    tasks: Sequence[ClientTask],
    on_ready: Callable[[], None],
    on_progress: Callable[[Progress], None],
    cores: tuple[int, ...] = (),
) -> list[list[PhaseResult]]:
    """Run each task in a fresh process; their last phases begin together.

    A process that has come to its last phase waits for the others, and then for a time that all are told.

    Args:
        tasks: One per process.
        on_ready: Called when all have come to their last phase, before any begins it.
        on_progress: Called about once a second with the sum of all.
        cores: Where this process is meanwhile, which does nothing but pass progress on; anywhere if empty.

    Returns:
        The result of each phase, per task.

    Raises:
        MeasurementError: If a process dies. No process is left, whatever happens.
    """
    context = multiprocessing.get_context("forkserver")
    # What the first clients need is imported once, by the process that all clients are forked from. Clients of another
    # wire format that come later import theirs before their first phase, which costs them time and no request.
    modules = sorted({type(task.endpoint).__module__ for task in tasks})
    context.set_forkserver_preload([IGNORED_INTERRUPTS, __name__, *modules])
    _keep_socket_in_run_folder()
    clients: dict[Connection, BaseProcess] = {}
    results: dict[Connection, list[PhaseResult]] = {}
    try:
        resource_tracker.ensure_running()  # started by the fork server it would unblock the signals
        for task in tasks:
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_client, args=(theirs, task), daemon=True)
            # A client that is half told what to do would print a stack trace, and one that is not noted would stay.
            with held_signals(from_children=True):
                process.start()
                clients[ours] = process
            theirs.close()
        with process_on(cores):
            _follow(clients, results, on_ready, on_progress)
        return [results[pipe] for pipe in clients]
    finally:
        for pipe, process in clients.items():
            if process.is_alive() and pipe not in results:
                process.kill()
            process.join()
            pipe.close()


def _follow(
    clients: Mapping[Connection, BaseProcess],
    results: dict[Connection, list[PhaseResult]],
    on_ready: Callable[[], None],
    on_progress: Callable[[Progress], None],
) -> None:
    """Take what the clients tell until all have told their results."""
    ready: set[Connection] = set()  # who waits for the common start
    latest: dict[Connection, Progress] = {}
    told: set[Connection] = set()  # who has told of its progress since the last time that it was passed on
    while len(results) < len(clients):
        for pipe in wait([pipe for pipe in clients if pipe not in results]):
            assert isinstance(pipe, Connection)
            kind, content = _receive(pipe, clients[pipe])
            if kind == "ready":
                ready.add(pipe)
                if len(ready) == len(clients):
                    on_ready()
                    ready.clear()
                    start = time.monotonic_ns() + START_AHEAD_NS
                    for each, process in clients.items():
                        _send(each, process, start)
            elif kind == "progress":
                pending = latest[pipe].windows if pipe in told else ()
                latest[pipe] = replace(content, windows=[*pending, *content.windows])
                told.add(pipe)
                if told >= clients.keys() - results.keys() - ready:  # once for all: drawing takes time of a core in use
                    told.clear()
                    on_progress(_sum(list(latest.values())))
                    latest = {pipe: replace(last, windows=()) for pipe, last in latest.items()}
            elif kind == "results":
                results[pipe] = content
            elif kind == "error":
                raise content


@functools.cache
def _keep_socket_in_run_folder() -> None:
    """Have multiprocessing make the fork server's socket where the next process finds it if this one is killed.

    It makes a folder of its own unless it has one, and offers no other way to name it. Its own name is shorter, so that
    is used where this one would make the socket's path too long.
    """
    folder = RunFolder("clients")
    atexit.register(folder.close)
    if len(f"{folder.path}/listener-12345678") < SOCKET_PATH_LIMIT:
        getattr(multiprocessing.current_process(), "_config", {}).setdefault("tempdir", str(folder.path))


def _receive(pipe: Connection, process: BaseProcess) -> tuple[str, Any]:
    try:
        kind, content = pipe.recv()
    except (EOFError, OSError):
        raise _ended(process) from None
    return kind, content


def _send(pipe: Connection, process: BaseProcess, start: int) -> None:
    try:
        pipe.send(start)
    except OSError:
        raise _ended(process) from None


def _ended(process: BaseProcess) -> MeasurementError:
    process.join()
    return MeasurementError(f"a client process ended with exit code {process.exitcode} in mid-run")


def _sum(parts: Sequence[Progress]) -> Progress:
    return Progress(
        sum(p.ok for p in parts),
        sum(p.failed for p in parts),
        sum(p.rate for p in parts),
        max(p.p99_ms for p in parts),
        sum(p.mismatched for p in parts),
        sum((Counter(p.errors) for p in parts), Counter()),
        [window for p in parts for window in p.windows],
    )


def _client(pipe: Connection, task: ClientTask) -> None:
    """Body of a client process."""
    import uvloop

    end_with_parent(signal.SIGKILL)
    if task.cores:
        os.sched_setaffinity(0, task.cores)

    def tell(kind: str, content: object) -> None:
        try:
            pipe.send((kind, content))
        except BrokenPipeError:
            os._exit(1)  # the parent was killed without a chance to end its clients: nobody wants this load any more

    reported = 0

    def on_progress(recorder: Recorder) -> None:
        nonlocal reported
        windows = recorder.tally.windows
        fresh = windows[reported if windows else 0 :]  # each phase begins with a report without any
        reported = len(windows)
        rate = p99 = float("nan")
        if windows:
            began_s = windows[-2].end_s if len(windows) > 1 else 0.0
            rate, p99 = windows[-1].ok / (windows[-1].end_s - began_s), windows[-1].p99_ms
        tally = recorder.tally
        tell("progress", Progress(tally.ok, tally.failed, rate, p99, tally.mismatched, dict(tally.errors), fresh))

    async def start_together() -> int:
        tell("ready", None)
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.add_reader(pipe.fileno(), told.set)  # the loop goes on: what servers do meanwhile is noticed
        await told.wait()
        loop.remove_reader(pipe.fileno())
        os.set_blocking(pipe.fileno(), True)  # which it was before the loop watched it
        try:
            start: int = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)  # as above
        return start

    try:
        run = run_phases(task.endpoint, task.phases, task.connections, on_progress, start_together, task.kernel_stamps)
        tell("results", uvloop.run(run))
    except LoadtestError as error:
        tell("error", error)
    finally:
        pipe.close()
