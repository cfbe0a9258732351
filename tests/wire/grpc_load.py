"""How the gRPC tests put a method under load, and what always holds."""

from collections.abc import Mapping, Sequence

import uvloop

from loadtest.load.recorder import Tally
from loadtest.load.schedule import Closed, Schedule
from loadtest.load.session import Phase, run_phases
from loadtest.servers.expectation import Exactly, Expectation
from loadtest.wire.grpc.target import GrpcTarget

RIGHT = Exactly(b"the right answer")
SEED = 1


def put_under_load(
    url: str,
    schedule: Schedule | Closed,
    *,
    messages: Sequence[bytes] = (b"question",),
    expectation: Expectation = RIGHT,
    connections: int = 4,
    timeout_s: float = 20.0,
    headers: Mapping[str, str] | None = None,
) -> Tally:
    """Run a schedule and check that every request of it is accounted for exactly once."""
    target = GrpcTarget.build(url, messages, expectation, headers=headers)
    (outcome,) = uvloop.run(run_phases(target, [Phase(schedule, SEED, timeout_s)], connections))
    tally = outcome.tally
    assert tally.ok == tally.response.count
    if not isinstance(schedule, Closed):
        assert tally.ok + tally.mismatched + tally.errors.total() == sum(1 for _ in schedule.times(SEED))
    return tally


def some_calls(calls: int) -> Closed:
    """A closed loop of at least so many calls."""
    return Closed(0.001, calls)
