"""Response times over real sockets. Lower bounds are strict; the machine may be busy, so upper ones are generous."""

from collections import Counter
from typing import Any

import uvloop

from loadtest.schedule import Closed, Constant, Poisson, Replay
from loadtest.session import Phase, run_phases
from tests.loadtest.http_load import load, target
from tests.loadtest.programmable import Programmable


def test_fixed_delay_is_measured(servers: Programmable) -> None:
    """20 ms: nothing is faster than the delay, and the median is near it."""
    port = servers.listen("fixed", delay_ms=20)
    tally = load(port.url, Poisson(100.0, 1.0), connections=32)
    assert tally.ok == tally.scheduled == port.counts["requests"]
    assert tally.service.min >= 19_900_000
    assert tally.response.min >= 19_900_000
    assert tally.service.percentile(50) < 60_000_000


def test_wait_for_a_connection_counts(servers: Programmable) -> None:
    """Five requests due at once on one connection of 20 ms each: response times of 20 to 100 ms, services of 20."""
    port = servers.listen("fixed", delay_ms=20)
    tally = load(port.url, Replay((0.0,) * 5), connections=1)
    assert tally.ok == 5
    assert tally.response.max >= 5 * 19_900_000
    assert tally.response.percentile(60) >= 3 * 19_900_000
    assert tally.service.min >= 19_900_000
    assert tally.response.total >= tally.service.total + (1 + 2 + 3 + 4) * 19_900_000


def test_stall_is_seen_by_the_open_loop_and_hidden_by_the_closed_one(servers: Programmable) -> None:
    """Half a second of silence: a quarter of the open loop's requests wait for it, and one of the closed loop's."""
    stall: dict[str, Any] = {"after_s": 0.5, "length_s": 0.5}
    opened = load(servers.listen("stalling", **stall).url, Constant(100.0, 2.0), connections=1)
    closed = load(servers.listen("stalling", **stall).url, Closed(2.0), connections=1)
    assert opened.ok == 200
    assert opened.response.percentile(80) >= 50e6, "a fifth of the requests came 100 ms or more before its end"
    assert opened.response.max >= 480e6
    assert closed.response.max >= 400e6
    late = [count for value, count in zip(*closed.response.nonzero(), strict=True) if value >= 400e6]
    assert sum(late) == 1
    assert closed.ok > 200


def test_phases_do_not_disturb_each_other(servers: Programmable) -> None:
    """A first phase that ended just before its time ran out leaves nothing behind that ends requests of the next."""
    port = servers.listen("fixed", delay_ms=80)
    phases = [Phase(Replay((0.0, 0.045)), 1, 0.1), Phase(Constant(20.0, 0.5), 1, 5.0)]
    first, second = uvloop.run(run_phases(target(port.url), phases, 4))
    assert first.tally.scheduled == 2
    assert (second.tally.ok, second.tally.errors) == (10, Counter())


def test_late_answer_is_not_taken_for_the_next_one(servers: Programmable) -> None:
    """What is answered after its timeout is a timeout, and the next request gets its own answer on a new connection."""
    port = servers.listen("stalling", after_s=0.0, length_s=0.5)
    tally = load(port.url, Replay((0.0, 1.0)), connections=1, timeout_s=0.2)
    assert (tally.ok, tally.errors) == (1, Counter(timeout=1))
    assert (port.counts["requests"], port.counts["connections"]) == (2, 2)
