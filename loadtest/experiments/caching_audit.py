"""The caching audit: a closed loop with all inputs different and one with a single input repeated, in turn."""

import itertools
import math
from collections.abc import Callable, Mapping

from loadtest.judge.caching import Caching, Pair, conclude_caching
from loadtest.judge.verdict import CLIENT_CPU_SHARE
from loadtest.load.clients import ClientTask, Progress, run_clients
from loadtest.load.schedule import Closed
from loadtest.load.session import Phase, PhaseResult
from loadtest.machine.placement import Placement
from loadtest.servers.examples import Examples
from loadtest.servers.server_folder import DEFAULT_WIRE
from loadtest.wire.golden_target import golden_target

PAIRS = 12
"""Pairs of runs before a look at them."""

LOOKS = 2
"""Looks at most: where the first one is not certain, as many pairs again are added.

Each takes an interval of 95 %, so a server within the limit is called cached in at most one audit of twenty, and so is
one beyond it called not cached.
"""

RUN_S = 0.15
"""Length of a run, where the inputs last so long."""

SHARE = 0.8
"""A run is expected to send this share of its inputs, so that hardly any comes twice."""

TIMEOUT_S = 10.0


def audit_caching(
    url: str,
    fresh: Examples,
    placement: Placement,
    *,
    ceiling_rps: float,
    wire: str = DEFAULT_WIRE,
    model: str = "",
    connections: int = 8,
    batch: int = 1,
    headers: Mapping[str, str] | None = None,
    seed: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Caching | None:
    """Find out whether a server that is up and warm answers from a cache.

    One client process runs all pairs of a look over the same connections. Both sides cost it the same, as it knows an
    answer by the number of its request: the repeated input has as many numbers as there are different ones, and each
    number is asked for once. No input of one pair is used in another, so what a server keeps helps neither side later.

    Args:
        url: Address of the prediction.
        fresh: Examples that the server has not seen.
        placement: Cores of the client and of the server.
        ceiling_rps: About how many requests it answers per second; gives the length of the runs.
        wire: Name of the wire format.
        model: Name of the model, for wire formats whose requests hold it.
        connections: Connections of the client.
        batch: Instances in one request.
        headers: Header fields, or metadata, that each request has beside its own.
        seed: Of the draw of batches.
        on_progress: Called about once a second.

    Returns:
        The finding; None where it is not known how fast the server answers.

    Raises:
        UsageError: If there are fewer examples than instances in one request.
        MeasurementError: If the client process dies.
    """
    if not ceiling_rps > 0:
        return None
    most = math.ceil(RUN_S * ceiling_rps / SHARE)
    fresh = fresh.of_one_length()  # or the two sides of a pair would differ in their work
    pairs: list[Pair] = []
    for look in range(LOOKS):
        parts = [different_inputs(fresh, batch, look * PAIRS + number, most, seed) for number in range(PAIRS)]
        sides = [side for part in parts for side in (part, part.repeated(batch))]
        endpoint = golden_target(wire, url, model, Examples.joined(sides), batch, headers)
        requests = parts[0].size // batch
        closed, order = Closed(min(RUN_S, SHARE * requests / ceiling_rps)), turns(requests)
        phases = tuple(Phase(closed, seed, TIMEOUT_S, payloads=range(first, first + requests)) for first in order)
        task = ClientTask(endpoint, phases, connections, placement.client[:1])
        (results,) = run_clients([task], lambda: None, on_progress)
        in_order = sorted(zip(order, results, strict=True), key=lambda one: one[0])
        pairs += [
            _pair(different, repeated, requests)
            for (_, different), (_, repeated) in zip(in_order[::2], in_order[1::2], strict=True)
        ]
        found = conclude_caching(pairs)
        if found.certain:
            break
    return found


def different_inputs(fresh: Examples, batch: int, pair: int, most: int, seed: int) -> Examples:
    """The inputs of one pair: a part of its own, or where each request has several instances, groups of its own.

    Args:
        fresh: All of them.
        batch: Instances in one request.
        pair: Number of the pair, from 0.
        most: Requests that are enough.
        seed: Of the groups.

    Raises:
        UsageError: If there are fewer than instances in one request.
    """
    if batch == 1:
        share = max(fresh.size // (PAIRS * LOOKS), 1)
        return fresh.part(pair * share % fresh.size, min(share, most))
    return fresh.shuffled((seed, pair)).for_requests(most, batch)


def turns(requests: int) -> list[int]:
    """The first request of each run, in the order in which they are run.

    The different inputs of a pair have the numbers before those of its repeated input. Which of the two comes first
    changes from pair to pair, so that a drift of the machine favours neither.
    """
    return list(
        itertools.chain.from_iterable(
            (number, number + requests) if pair % 2 == 0 else (number + requests, number)
            for pair, number in enumerate(range(0, 2 * PAIRS * requests, 2 * requests))
        )
    )


def _pair(different: PhaseResult, repeated: PhaseResult, requests: int) -> Pair:
    both = (different, repeated)
    return Pair(
        different_rps=different.tally.ok / different.elapsed_s,
        repeated_rps=repeated.tally.ok / repeated.elapsed_s,
        inputs=min(requests, different.tally.sent),
        failed=sum(one.tally.failed for one in both),
        client_bound=any(one.cpu_s / one.elapsed_s > CLIENT_CPU_SHARE for one in both),
    )
