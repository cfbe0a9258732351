"""When an answer came in, and how long it waited for the client: real sockets, and a client made slow on purpose."""

import time
from dataclasses import dataclass

import pytest
import uvloop

from loadtest.load.loop_turn import UNKNOWN
from loadtest.load.recorder import Recorder, Tally
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed
from loadtest.load.session import Phase, run_phases
from loadtest.servers.expectation import Exactly
from loadtest.wire.http1 import HttpTarget
from loadtest.wire.stamped_transport import stamps_are_given
from tests.wire.programmable import RIGHT, Programmable

CHECK_S = 0.03
BODIES = [b"%d" % number for number in range(40)]


@dataclass(frozen=True)
class SlowCheck:
    """Takes long to find that an answer is right, as a large one does that no answer before was equal to."""

    name: str = "slow"

    def matches(self, payload: int, body: bytes) -> bool:
        """Compare, and be busy for a while."""
        end = time.monotonic() + CHECK_S
        while time.monotonic() < end:
            pass
        return body == RIGHT


def run(url: str, schedule: Closed | Replay, connections: int, kernel_stamps: bool = False) -> Tally:
    """Each request is another one, so that every answer is checked in full."""
    endpoint = HttpTarget.build(url, BODIES, SlowCheck())
    (result,) = uvloop.run(run_phases(endpoint, [Phase(schedule, 1, 10.0)], connections, kernel_stamps=kernel_stamps))
    assert result.tally.ok == result.tally.scheduled
    return result.tally


@pytest.mark.parametrize("kernel_stamps", [False, True])
def test_an_answer_ends_when_it_came_in_and_not_when_it_was_checked(
    programmable: Programmable, kernel_stamps: bool
) -> None:
    """The server answers at once, checking takes 30 ms: that is no part of the fastest service time."""
    tally = run(programmable.listen("fixed").url, Replay(tuple(0.1 * n for n in range(10))), 1, kernel_stamps)
    assert tally.service.min < CHECK_S * 1e9
    assert tally.response.min < CHECK_S * 1e9


def test_a_request_that_waits_for_a_check_was_sent_late(programmable: Programmable) -> None:
    """Five requests due at once on one connection: each waits for the check of the answer before it, as send lag."""
    tally = run(programmable.listen("fixed").url, Replay((0.0,) * 5), 1)
    assert tally.lag.max >= CHECK_S * 1e9 * 0.99
    assert tally.response.max >= 4 * CHECK_S * 1e9 * 0.99


@pytest.mark.parametrize("kernel_stamps", [False, True])
def test_how_long_answers_waited_for_the_client_is_told(programmable: Programmable, kernel_stamps: bool) -> None:
    """Two answers come in while a third is checked: their wait is seen in both ways."""
    if kernel_stamps and not stamps_are_given():
        pytest.skip("this kernel gives no time stamps")
    tally = run(programmable.listen("fixed").url, Closed(0.5), 3, kernel_stamps)
    assert 0 < tally.receive_lag.count <= tally.ok, "a kernel that was only just asked leaves some without a stamp"
    assert kernel_stamps or tally.receive_lag.count == tally.ok
    assert tally.receive_lag.max >= CHECK_S * 1e9 * 0.9
    assert tally.receive_lag.max <= tally.service.max, "no answer waited before its request was sent"


def test_the_last_piece_of_an_answer_counts(programmable: Programmable) -> None:
    """An answer that comes a byte at a time is one answer, stamped once, though its pieces were read one by one."""
    if not stamps_are_given():
        pytest.skip("this kernel gives no time stamps")
    endpoint = HttpTarget.build(programmable.listen("dripping", pause_ms=1).url, BODIES[:1], Exactly(RIGHT))
    phase = Phase(Replay((0.0, 0.0)), 1, 10.0)
    (result,) = uvloop.run(run_phases(endpoint, [phase], 1, kernel_stamps=True))
    assert result.tally.receive_lag.count == result.tally.ok == 2
    assert result.tally.receive_lag.max < result.tally.service.min, "the pieces before the last waited for the server"


def test_failed_requests_are_not_among_the_answers_that_waited(programmable: Programmable) -> None:
    """Wrong answers come in too, and are in no histogram."""
    endpoint = HttpTarget.build(programmable.listen("wrong", every=2).url, BODIES[:1], Exactly(RIGHT))
    for kernel_stamps in {False, stamps_are_given()}:
        phase = Phase(Replay((0.0,) * 10), 1, 10.0)
        (result,) = uvloop.run(run_phases(endpoint, [phase], 1, kernel_stamps=kernel_stamps))
        assert result.tally.mismatched == 5
        assert result.tally.ok == 5
        assert result.tally.receive_lag.count == 5 or (kernel_stamps and result.tally.receive_lag.count < 5)


def test_an_answer_without_a_stamp_is_not_among_those_that_waited() -> None:
    """What nobody knows is left out, and not told as no wait at all."""
    recorder = Recorder(1_000_000_000)
    for readable in (UNKNOWN, 400, 100):
        recorder.add((0, 300, 0, readable, 1_000))
    recorder.flush()
    assert recorder.tally.ok == 3
    assert recorder.tally.receive_lag.nonzero() == ([600, 700], [1, 1])
