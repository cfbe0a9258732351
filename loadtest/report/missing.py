"""What an incomplete comparison lacks, and that one was gone on with after it had been ended."""

from collections.abc import Iterator, Sequence

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.server_result import ServerResult


def missing(result: ComparisonResult) -> list[str]:
    """What was planned and is not there, a phrase for each contender; nothing of a complete comparison."""
    if result.complete:
        return []
    return [
        f"{result.names[server.key]}: {', '.join(lacks)}"
        for server in result.servers
        if (lacks := list(_lacks(result, server)))
    ]


def sittings(result: ComparisonResult) -> list[str]:
    """That it was resumed, when and how often; nothing where it was not."""
    if not result.resumed:
        return []
    times = "once" if len(result.resumed) == 1 else f"{len(result.resumed)} times"
    return [
        f"resumed {times} after it had been ended (at {', '.join(result.resumed)}): it was measured in several "
        "sittings, between which the machine may have changed"
    ]


def _lacks(result: ComparisonResult, server: ServerResult) -> Iterator[str]:
    plan = result.plan
    if server.faults and not server.rounds:  # the gate kept it out
        return
    if server.gate is None:
        yield "its gate was not ended" if server.parity else "not begun"
        return
    there = {one.number for one in server.rounds}
    absent = [number for number in range(1, plan.rounds + 1) if number not in there]
    if absent:
        yield f"no round{'s' if len(absent) > 1 else ''} {_numbers(absent)} of {plan.rounds}"
    if plan.slo and server.capacity is None:
        yield "no capacity"
    if plan.layers and server.breakdown is None:
        yield "no layers of its CPU time"


def _numbers(numbers: Sequence[int]) -> str:
    """``2``, or ``2 to 5`` where they follow on each other, or each of them."""
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return " and ".join(filter(None, [", ".join(map(str, numbers[:-1])), str(numbers[-1])]))
