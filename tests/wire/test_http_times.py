"""Response times over real sockets. Lower bounds are strict; the machine may be busy, so upper ones are generous."""

import time
from collections import Counter
from typing import Any

import pytest
import uvloop

from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant, Poisson
from loadtest.load.session import Phase, run_phases
from loadtest.wire.single_request import request
from tests.wire.http_load import load, target
from tests.wire.programmable import RIGHT, Programmable


def test_fixed_delay_is_measured(programmable: Programmable) -> None:
    """20 ms: nothing is faster than the delay, and the median is near it."""
    port = programmable.listen("fixed", delay_ms=20)
    tally = load(port.url, Poisson(100.0, 1.0), connections=32)
    assert tally.ok == tally.scheduled == port.counts["requests"]
    assert tally.service.min >= 19_900_000
    assert tally.response.min >= 19_900_000
    assert tally.service.percentile(50) < 60_000_000


def test_wait_for_a_connection_counts(programmable: Programmable) -> None:
    """Five requests due at once on one connection of 20 ms each: response times of 20 to 100 ms, services of 20."""
    port = programmable.listen("fixed", delay_ms=20)
    tally = load(port.url, Replay((0.0,) * 5), connections=1)
    assert tally.ok == 5
    assert tally.response.max >= 5 * 19_900_000
    assert tally.response.percentile(60) >= 3 * 19_900_000
    assert tally.service.min >= 19_900_000
    assert tally.response.total >= tally.service.total + (1 + 2 + 3 + 4) * 19_900_000


def test_stall_is_seen_by_the_open_loop_and_hidden_by_the_closed_one(programmable: Programmable) -> None:
    """Half a second of silence: a quarter of the open loop's requests wait for it, and one of the closed loop's."""
    stall: dict[str, Any] = {"after_s": 0.5, "length_s": 0.5}
    opened = load(programmable.listen("stalling", **stall).url, Constant(100.0, 2.0), connections=1)
    closed = load(programmable.listen("stalling", **stall).url, Closed(2.0), connections=1)
    assert opened.ok == 200
    assert opened.response.percentile(80) >= 50e6, "a fifth of the requests came 100 ms or more before its end"
    assert opened.response.max >= 480e6
    assert closed.response.max >= 400e6
    late = [count for value, count in zip(*closed.response.nonzero(), strict=True) if value >= 400e6]
    assert sum(late) == 1
    assert closed.ok > 200


def test_phases_do_not_disturb_each_other(programmable: Programmable) -> None:
    """A first phase that ended just before its time ran out leaves nothing behind that ends requests of the next."""
    port = programmable.listen("fixed", delay_ms=80)
    phases = [Phase(Replay((0.0, 0.045)), 1, 0.1), Phase(Constant(20.0, 0.5), 1, 5.0)]
    first, second = uvloop.run(run_phases(target(port.url), phases, 4))
    assert first.tally.scheduled == 2
    assert (second.tally.ok, second.tally.errors) == (10, Counter())


def test_late_answer_is_not_taken_for_the_next_one(programmable: Programmable) -> None:
    """What is answered after its timeout is a timeout, and the next request gets its own answer on a new connection."""
    port = programmable.listen("stalling", after_s=0.0, length_s=0.5)
    tally = load(port.url, Replay((0.0, 1.0)), connections=1, timeout_s=0.2)
    assert (tally.ok, tally.errors) == (1, Counter(timeout=1))
    assert (port.counts["requests"], port.counts["connections"]) == (2, 2)


@pytest.mark.parametrize("way", ["fixed", "wrong", "truncated"])
def test_limit_holds_for_every_answer(programmable: Programmable, way: str) -> None:
    """What comes after its time is a timeout whatever it is, also where nothing looked at the clock in between."""
    tally = load(programmable.listen(way).url, Replay((0.0,) * 40), connections=2, timeout_s=1e-9)
    assert (tally.ok, tally.mismatched, tally.scheduled) == (0, 0, 40)
    assert set(tally.errors) <= {"timeout", "unsent"}  # a machine that is busy elsewhere may not come to send them all
    assert tally.errors["timeout"] >= 2


def test_answer_just_after_its_time_is_a_timeout(programmable: Programmable) -> None:
    """A limit of 10 ms and answers after 20 ms, a closed loop included, which goes on with the next request."""
    for plan in (Constant(100.0, 0.3), Closed(0.3)):
        tally = load(programmable.listen("fixed", delay_ms=20).url, plan, connections=4, timeout_s=0.01)
        assert tally.ok == 0
        assert set(tally.errors) <= {"timeout", "unsent"}
        assert tally.errors["timeout"] >= 8


def test_single_request_ends_within_its_limit(programmable: Programmable) -> None:
    """A probe is not kept waiting by a server that sends a byte every 20 ms, for two seconds in all."""
    port = programmable.listen("dripping", pause_ms=20)
    began = time.monotonic()
    slow = request("127.0.0.1", port.port, "/", b"{}", timeout_s=0.3)
    assert time.monotonic() - began >= 0.3
    assert (slow.status, slow.body, slow.fault) == (0, b"", "TimeoutError: timed out")
    whole = request("127.0.0.1", port.port, "/", b"{}", timeout_s=60.0)
    assert (whole.status, whole.body, whole.fault) == (200, RIGHT, "")
