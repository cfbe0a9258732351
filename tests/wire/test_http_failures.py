"""Wrong answers and failures of every sort over real sockets: each is counted once, under the right kind."""

import asyncio
import gc
import itertools
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.load.engine import Slot
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant
from loadtest.servers.expectation import Anything
from loadtest.wire.http1 import HttpConnection, HttpPool
from loadtest.wire.kept_connection import MAX_BODY
from tests.wire.http_load import REQUESTS, load, target
from tests.wire.programmable import RIGHT, Programmable

FAILING_WAYS = {
    "half_closing_unanswered": {"connection_closed"},
    "truncated": {"truncated"},
    "truncated_head": {"truncated"},
    "garbage": {"malformed_response"},
    "switching": {"unexpected_upgrade"},
}


@pytest.mark.parametrize(("way", "kinds"), FAILING_WAYS.items(), ids=FAILING_WAYS)
def test_failures_are_counted_by_kind(programmable: Programmable, way: str, kinds: set[str]) -> None:
    """Every request is one error of the kind that says what happened, and the server saw each once."""
    port = programmable.listen(way)
    tally = load(port.url)
    assert set(tally.errors) == kinds
    assert tally.errors.total() == tally.scheduled == port.counts["requests"] == REQUESTS


@pytest.mark.parametrize(
    "line", ["500 Internal Server Error", "404 Not Found", "302 Found", "429 Too Many Requests", "304 Not Modified"]
)
def test_any_status_but_2xx_is_an_error(programmable: Programmable, line: str) -> None:
    """The right body under another status is no right answer, a redirect is not followed."""
    port = programmable.listen("status", line=line)
    tally = load(port.url, expectation=Anything())
    assert tally.errors == {f"http_{line[:3]}": REQUESTS}
    assert port.counts["requests"] == REQUESTS


@pytest.mark.parametrize("every", [1, 4])
def test_wrong_answers_are_mismatched(programmable: Programmable, every: int) -> None:
    """Every fourth answer is wrong: exactly those are counted, and not as errors."""
    port = programmable.listen("wrong", every=every)
    tally = load(port.url)
    assert tally.mismatched == port.counts["wrong"] == REQUESTS // every
    assert tally.ok == REQUESTS - REQUESTS // every
    assert not tally.errors


def test_server_that_closes_at_once(programmable: Programmable) -> None:
    """Accepted and dropped: closed or reset, as the kernel saw it, and nothing else."""
    port = programmable.listen("fixed", manner="closing at once")
    tally = load(port.url)
    assert set(tally.errors) <= {"connection_closed", "connection_reset", "connection_lost"}
    assert tally.errors.total() == REQUESTS
    assert port.counts["requests"] == 0


def test_server_that_speaks_first(programmable: Programmable) -> None:
    """An answer before any question is never counted as one: no more right answers than the server gave."""
    port = programmable.listen("fixed", manner="greeting")
    tally = load(port.url, connections=1)
    counts = port.counts
    assert tally.scheduled == REQUESTS
    assert counts["connections"] > 1, "the connection with the greeting on it was not kept"


def test_answer_before_the_request_was_written_is_an_error() -> None:
    """A connection that is still opening takes nothing for the answer to a request that has yet to be written."""

    class Transport(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__()
            self.written = b""

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written += data

        def abort(self) -> None:
            pass

    async def speak_first() -> tuple[list[str], bytes]:
        listening = socket.create_server(("127.0.0.1", 0), backlog=1)  # accepts nothing
        endpoint = target(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        pool = HttpPool(endpoint, 1, asyncio.get_running_loop())
        failed: list[str] = []

        class Owner:
            may_pause = False

            def completed(self, slot: Slot) -> None:
                failed.append("completed")

            def failed(self, slot: Slot, kind: str) -> None:
                slot.busy = False
                failed.append(kind)

        pool.owner = Owner()
        connection = pool.slots[0]
        assert isinstance(connection, HttpConnection)
        connection.busy = True
        connection.send(0)
        transport = Transport()
        connection.connection_made(transport)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(RIGHT), RIGHT))
        await asyncio.sleep(0.05)
        pool.close()
        listening.close()
        return failed, transport.written

    assert asyncio.run(speak_first()) == (["unsolicited_response"], b"")


def test_refused_connection_is_counted_and_not_called_overload() -> None:
    """Nobody listens: every request is refused when it is due, and none waits behind another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tally = load(f"http://127.0.0.1:{port}/", Constant(400.0, 0.5), connections=2)
    assert tally.errors == Counter(connection_refused=200)


def test_refused_connection_does_not_turn_a_closed_loop_into_a_spin() -> None:
    """Failures in a row are spaced out: some dozens in half a second, not thousands."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tally = load(f"http://127.0.0.1:{port}/", Closed(0.5), connections=2)
    assert set(tally.errors) == {"connection_refused"}
    assert 2 < tally.errors.total() < 60


def test_unanswered_requests_time_out(programmable: Programmable) -> None:
    """Four connections, nothing comes back: timeouts for what was sent, `unsent` for the rest, and the run ends."""
    port = programmable.listen("never")
    tally = load(port.url, timeout_s=0.3)
    assert set(tally.errors) == {"timeout", "unsent"}
    assert tally.errors["timeout"] == tally.sent == port.counts["requests"]
    assert tally.errors["timeout"] >= 4


def test_connection_that_nobody_accepts_times_out() -> None:
    """A full backlog leaves connections half open: the requests time out, and the run begins and ends all the same."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        address = listening.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        tally = load(f"http://127.0.0.1:{address[1]}/", Constant(20.0, 0.2), connections=2, timeout_s=0.3)
        for filler in fillers:
            filler.close()
    assert set(tally.errors) <= {"timeout", "unsent", "connect_timeout"}
    assert tally.errors.total() == tally.scheduled == 4


def test_tls_where_plain_was_meant(programmable: Programmable) -> None:
    """https:// to a server that speaks none, and so waits for more: errors of every request, and no hang."""
    port = programmable.listen("fixed")
    tally = load(port.url.replace("http:", "https:"), Constant(50.0, 0.2), timeout_s=0.3)
    assert set(tally.errors) <= {"tls_error", "timeout", "unsent"}
    assert tally.errors.total() == tally.scheduled
    assert port.counts["answers"] == 0


def test_plain_where_tls_was_meant(programmable: Programmable) -> None:
    """http:// to a server that expects TLS fails request by request."""
    port = programmable.listen("fixed", tls=True)
    tally = load(port.url.replace("https:", "http:"), Constant(50.0, 0.2), timeout_s=1.0)
    assert tally.ok == tally.mismatched == 0
    assert set(tally.errors) <= {"malformed_response", "connection_closed", "connection_reset", "truncated"}


def test_endless_body_is_cut_off(programmable: Programmable) -> None:
    """A body without an end is given up at the limit, and memory stays within it."""
    port = programmable.listen("endless")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally = load(port.url, Constant(4.0, 0.5), connections=1, timeout_s=20.0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert tally.errors == Counter(body_too_large=2)
    assert grown < 3 * MAX_BODY


@pytest.fixture
def few_file_descriptors() -> Iterator[None]:
    """Leaves this process some twenty: numbers that are free, however many are taken above the first of them."""
    gc.collect()  # what earlier tests left open
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(number.name) for number in Path("/dev/fd").iterdir()}
    free = (number for number in itertools.count() if number not in taken)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, 20, None)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_file_descriptors")
def test_out_of_file_descriptors_is_an_error_kind(programmable: Programmable) -> None:
    """More connections than descriptors: what could be opened serves, the rest are errors that say so; no hang."""
    port = programmable.listen("fixed", delay_ms=50)
    tally = load(port.url, Replay((0.0,) * 40), connections=40)
    assert set(tally.errors) == {"out_of_file_descriptors"}
    assert tally.ok + tally.errors.total() == 40
    assert tally.ok == port.counts["requests"] > 0
