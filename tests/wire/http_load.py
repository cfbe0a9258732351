"""One phase of HTTP load in this process, for tests."""

from collections.abc import Sequence

import uvloop

from loadtest.experiments.measured_run import resolve
from loadtest.load.recorder import Tally
from loadtest.load.schedule import Closed, Constant, Schedule
from loadtest.load.session import Phase, run_phases
from loadtest.servers.expectation import Exactly, Expectation
from loadtest.wire.http1 import HttpTarget
from tests.wire.programmable import RIGHT

BODY = b'{"instances": [[1.0, 2.0]]}'
REQUESTS = 40
PLAN = Constant(200.0, REQUESTS / 200)


def target(url: str, expectation: Expectation | None = None, bodies: Sequence[bytes] = (BODY,)) -> HttpTarget:
    """The endpoint at this address; only the programmable server's right answer is right by default."""
    return resolve(HttpTarget.build(url, bodies, expectation or Exactly(RIGHT)))


def load(
    url: str,
    schedule: Schedule | Closed = PLAN,
    *,
    expectation: Expectation | None = None,
    bodies: Sequence[bytes] = (BODY,),
    connections: int = 4,
    timeout_s: float = 5.0,
) -> Tally:
    """One phase of load in this process."""
    endpoint = target(url, expectation, bodies)
    (outcome,) = uvloop.run(run_phases(endpoint, [Phase(schedule, 1, timeout_s)], connections))
    tally = outcome.tally
    assert tally.ok + tally.mismatched + tally.errors.total() == tally.scheduled
    assert tally.response.count == tally.ok
    return tally
