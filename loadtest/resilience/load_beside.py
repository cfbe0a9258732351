"""A steady load on a server while something is done to it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from loadtest.load.schedule import Poisson
from loadtest.load.session import PhaseResult
from loadtest.machine.placement import process_on
from loadtest.resilience.version_witness import VersionWitness
from loadtest.setup.probes.probe_load import load_until
from loadtest.wire.http1 import HttpTarget

PHASE_S = 1.0
"""The load is a Poisson process anew in each second: so long is a stretch of which latencies are told."""


def load_beside(
    do: Callable[[], None],
    over: threading.Event,
    target: HttpTarget,
    witness: VersionWitness,
    *,
    rate: float,
    connections: int,
    most_s: float,
    cores: tuple[int, ...],
) -> Sequence[PhaseResult]:
    """Put a server under load for as long as something takes.

    Args:
        do: What is done meanwhile, on another thread; it sets `over` at its end, and what it raises is raised here.
        over: Ends the load; also set here where the load fails.
        target: Where the requests go.
        witness: Sees every answer.
        rate: Requests per second.
        connections: Connections of the client.
        most_s: Seconds of load at most.
        cores: Of the client; anywhere if empty.

    Returns:
        What became of each second's requests.
    """
    seen = replace(target, expectation=witness, remembers=False)
    with process_on(cores), ThreadPoolExecutor(1) as side:
        done = side.submit(do)
        try:
            phases = load_until(over, seen, Poisson(rate, PHASE_S), connections, most=int(most_s / PHASE_S))
        finally:
            over.set()
        done.result()
    return phases
