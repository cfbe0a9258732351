"""Loads for probes: the engine, in this process. They count outcomes and time nothing, so no core is set aside."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from loadtest.load.recorder import Tally
from loadtest.load.schedule import Closed, Schedule
from loadtest.load.session import Endpoint, Phase, PhaseResult, run_phases
from loadtest.setup.setup_finding import FindingValue

SEED = 1


def put_load(
    endpoint: Endpoint,
    schedule: Schedule | Closed,
    connections: int,
    timeout_s: float = 10.0,
    on_start: Callable[[], None] = lambda: None,
) -> Tally:
    """Run one schedule and count what became of every request.

    Args:
        endpoint: Where the requests go and how answers are checked.
        schedule: The plan.
        connections: Connections.
        timeout_s: Limit for one request, in seconds.
        on_start: Called as the first request is about to be sent.
    """

    async def start() -> int:
        on_start()
        return 0  # now

    phases = [Phase(schedule, SEED, timeout_s)]
    (outcome,) = asyncio.run(run_phases(endpoint, phases, connections, start_last=start))
    return outcome.tally


def put_load_until(
    over: threading.Event,
    endpoint: Endpoint,
    schedule: Schedule,
    connections: int,
    *,
    most: int,
    timeout_s: float = 10.0,
) -> Tally:
    """The same as `load_until`, all repetitions together."""
    return together(load_until(over, endpoint, schedule, connections, most=most, timeout_s=timeout_s))


def load_until(
    over: threading.Event,
    endpoint: Endpoint,
    schedule: Schedule,
    connections: int,
    *,
    most: int,
    timeout_s: float = 10.0,
) -> list[PhaseResult]:
    """Repeat a short schedule over the same connections until something has happened.

    Args:
        over: Set by whoever sees it happen; asked for after each repetition.
        endpoint: Where the requests go and how answers are checked.
        schedule: The plan of one repetition.
        connections: Connections.
        most: Repetitions at most.
        timeout_s: Limit for one request, in seconds.

    Returns:
        What became of each repetition.
    """
    phases = _RepeatedPhase(over, Phase(schedule, SEED, timeout_s), most)
    return asyncio.run(run_phases(endpoint, phases, connections))


def together(outcomes: Sequence[PhaseResult]) -> Tally:
    """What became of the requests of several repetitions."""
    total = Tally()
    for outcome in outcomes:
        total.merge(outcome.tally)
    return total


class _RepeatedPhase(Sequence[Phase]):
    """The same phase again and again, as long as an event is not set."""

    def __init__(self, over: threading.Event, phase: Phase, most: int) -> None:
        self._over = over
        self._phase = phase
        self._most = most

    def __len__(self) -> int:
        return self._most

    @overload
    def __getitem__(self, index: int) -> Phase: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Phase]: ...
    def __getitem__(self, index: int | slice) -> Phase | Sequence[Phase]:
        return self._phase if isinstance(index, int) else [self._phase] * len(range(self._most)[index])

    def __iter__(self) -> Iterator[Phase]:
        for number in range(self._most):
            if number and self._over.is_set():
                return
            yield self._phase


def outcome_values(tally: Tally) -> dict[str, FindingValue]:
    """The values of a finding under load: how many requests were sent, answered rightly, and what became of others."""
    errors = dict(sorted(tally.errors.items()))
    if tally.mismatched:
        errors["mismatched"] = tally.mismatched
    return {"sent": tally.scheduled, "answered": tally.ok, "errors": errors}
