"""Runs a load in client processes of its own and puts the result together.

The load never runs in the process that draws progress and waits for keys: each client is a fresh process on the
client's cores with nothing to do but to send. Their histograms are merged without loss.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from loadtest.errors import UsageError
from loadtest.judge.measured import MeasuredRun, conclude
from loadtest.judge.run_result import Run, Warmup
from loadtest.judge.server_times import ServerTimes, TimesRead, settled, times_between
from loadtest.load.bursty import variation
from loadtest.load.clients import ClientTask, Progress, run_clients
from loadtest.load.plan import Load
from loadtest.load.schedule import Closed, Schedule
from loadtest.load.session import Endpoint, Phase, PhaseResult
from loadtest.machine.host import CoreTimes, read_cores
from loadtest.machine.placement import UNPINNED, Placement
from loadtest.machine.usage import Usage
from loadtest.servers.server_folder import DEFAULT_WIRE
from loadtest.servers.times_table import TimesTable
from loadtest.wire.golden_target import Target

WARMUP, MEASURED = 0, 1
TargetT = TypeVar("TargetT", bound=Target)


def measure(
    endpoint: Endpoint,
    load: Load,
    *,
    target: str,
    wire: str = DEFAULT_WIRE,
    expectation: str = "none",
    placement: Placement = UNPINNED,
    server_usage: Callable[[], Usage] | None = None,
    server_times: tuple[TimesTable, Callable[[], TimesRead]] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> tuple[MeasuredRun, Usage | None]:
    """Put an endpoint under load.

    Args:
        endpoint: Where the requests go and how answers are checked.
        load: The plan.
        target: Address, for the result.
        wire: Name of the wire format, for the result.
        expectation: Name of the check, for the result.
        placement: Cores of the client and of the server.
        server_usage: Reads what the server used; called at the start and the end of the measured phase.
        server_times: Where the server tells the times of its requests, and what reads them then.
        on_progress: Called about once a second.

    Returns:
        The result, and the server's usage in the measured phase (CPU seconds of the phase, memory at its end).

    Raises:
        MeasurementError: If a client process dies.
    """
    tasks = _tasks(endpoint, load, placement)
    around = _Readings(placement, server_usage, server_times)
    collected = run_clients(tasks, around.open, on_progress, _beside(placement))
    around.close()
    measured = [outcomes[-1] for outcomes in collected]
    merged = measured[0].tally
    for outcome in measured[1:]:
        merged.merge(outcome.tally)
    schedule = load.schedule
    run = Run(
        target=target,
        wire=wire,
        expectation=expectation,
        payloads=endpoint.payloads,
        schedule=schedule.kind,
        rate=schedule.rate,
        duration_s=schedule.duration_s,
        warmup_s=load.warmup_s,
        connections=load.connections,
        processes=load.processes,
        seed=load.seed,
        timeout_s=load.timeout_s,
        cv=variation(schedule),
    )
    elapsed_s = max(outcome.elapsed_s for outcome in measured)
    result = conclude(
        run,
        merged,
        elapsed_s=elapsed_s,
        client_cpu_share=max(outcome.cpu_s / outcome.elapsed_s for outcome in measured),
        client_cpu_s=sum(outcome.cpu_s for outcome in measured),
        warmup=_warmup([outcomes[0] for outcomes in collected if len(outcomes) > 1]),
        steal_share=around.steal_share(),
        foreign_share=around.foreign_share(),
        receive_lag_by="kernel" if load.kernel_stamps else "loop",
        start_spread_s=(max(outcome.began for outcome in measured) - min(outcome.began for outcome in measured)) / 1e9,
    )
    return replace(result, server_times=around.times), around.usage


def resolve(target: TargetT) -> TargetT:
    """Look the target's name up once, so that no request pays for it.

    Raises:
        UsageError: If the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot resolve the host {target.host!r}: {reason}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    reachable = (address for address in addresses if len(addresses) == 1 or _accepts(address, target.port))
    return replace(target, address=next(reachable, addresses[0]))


def _accepts(address: str, port: int) -> bool:
    """Whether something listens there: ``localhost`` is often both ::1 and 127.0.0.1, a server only one of them."""
    try:
        socket.create_connection((address, port), timeout=2.0).close()
    except OSError:
        return False
    return True


class _Readings:
    """What the cores in use and the server used, read before the measured phase begins and after it has ended."""

    def __init__(
        self,
        placement: Placement,
        server_usage: Callable[[], Usage] | None,
        server_times: tuple[TimesTable, Callable[[], TimesRead]] | None = None,
    ) -> None:
        self._placement = placement
        self._read = server_usage
        self._tells = server_times
        self._told = TimesRead()
        self.times: ServerTimes | None = None
        self._in_use = placement.server + placement.client if placement.pinned else ()
        self._cores: CoreTimes | None = None
        self._server: CoreTimes | None = None
        self._before: Usage | None = None
        self._spent: CoreTimes | None = None
        self._spent_server: CoreTimes | None = None
        self._began_s = self._lasted_s = 0.0
        self.usage: Usage | None = None

    def open(self) -> None:
        if self._tells:
            self._told = settled(self._tells[1])
        self._before = self._read() if self._read else None
        self._began_s = time.monotonic()
        self._cores = read_cores(self._in_use)
        self._server = read_cores(self._placement.server)

    def close(self) -> None:
        if self._cores is None or self._server is None:
            return
        self._lasted_s = time.monotonic() - self._began_s
        self._spent = read_cores(self._in_use).since(self._cores)
        self._spent_server = read_cores(self._placement.server).since(self._server)
        if self._read and self._before:
            after = self._read()
            # A server that died and was started anew counts from zero again: what it used is not known.
            spent = after.cpu_s - self._before.cpu_s
            self.usage = replace(after, cpu_s=spent if spent >= 0 else float("nan"))
        if self._tells:
            table, read = self._tells
            self.times = times_between(self._told, settled(read), table)

    def steal_share(self) -> float:
        """Of the time of the cores in use: what is stolen from others disturbs nobody here."""
        if self._spent is None:
            return float("nan")
        return self._spent.steal / (self._lasted_s * (len(self._in_use) or os.cpu_count() or 1))

    def foreign_share(self) -> float:
        if self._spent_server is None or self.usage is None or not self._placement.pinned:
            return float("nan")
        return (self._spent_server.busy - self.usage.cpu_s) / (self._lasted_s * len(self._placement.server))


def _beside(placement: Placement) -> tuple[int, ...]:
    """Cores for this process while a run is under way: none that is measured, where there are others.

    Else the client's: it has next to nothing to do, and the server has its cores for itself.
    """
    if not placement.pinned or not hasattr(os, "sched_getaffinity"):
        return ()
    others = os.sched_getaffinity(0) - {*placement.server, *placement.client}
    return tuple(sorted(others)) or placement.client


def _tasks(endpoint: Endpoint, load: Load, placement: Placement) -> list[ClientTask]:
    parts: Sequence[Schedule | Closed] = load.schedule.split(load.processes)
    seeds = np.random.SeedSequence(load.seed).generate_state(2 * len(parts)).tolist()
    share, rest = divmod(load.connections, len(parts))
    tasks = []
    for number, schedule in enumerate(parts):
        # A single process draws from the seed itself: the schedule is the one that the seed names.
        seed = load.seed if len(parts) == 1 or schedule.dealt else seeds[2 * number]
        # Each process begins elsewhere: two that sent the same requests side by side would warm a cache for each other.
        first = number * endpoint.payloads // len(parts)
        in_turn = [*range(first, endpoint.payloads), *range(first)] if first else None
        measured = Phase(
            schedule, seed, load.timeout_s, payloads=in_turn, impatient=load.impatient, stretch_s=load.window_s
        )
        phases = [measured]
        if load.warmup_s > 0:
            warmup = Phase(Closed(load.warmup_s), seeds[2 * number + 1], load.timeout_s, until_warm=True)
            phases.insert(0, warmup)
        cores = placement.client[number % len(placement.client) :][:1] if placement.client else ()
        tasks.append(ClientTask(endpoint, tuple(phases), share + (number < rest), cores, load.kernel_stamps))
    return tasks


def _warmup(phases: Sequence[PhaseResult]) -> Warmup | None:
    if not phases:
        return None
    return Warmup(
        requests=sum(phase.tally.scheduled for phase in phases),
        duration_s=max(phase.elapsed_s for phase in phases),
        steady=all(phase.warm for phase in phases),
    )
