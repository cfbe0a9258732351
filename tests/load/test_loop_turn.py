"""Since when an answer has been readable, by the turns of an event loop whose every step the test decides."""

from collections.abc import Callable

from loadtest.load.loop_turn import SLEPT_NS, LoopTurn

US = 1_000


class Loop:
    """A clock, and what is to be called before the next poll."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self._soon: list[Callable[[], None]] = []
        self.turn = LoopTurn(self._soon.append, lambda: self.now)

    def read(self, takes_ns: int) -> int:
        """Read an answer, which takes its time; returns how long it had been readable when it was read, at most."""
        arrived = self.now
        if self.turn.over:
            self.turn.begin(arrived)
        self.now += takes_ns
        return arrived - self.turn.readable

    def send(self, takes_ns: int) -> None:
        """Send what is due, which takes its time."""
        began = self.now
        self.now += takes_ns
        self.turn.worked(began)

    def end_turn(self) -> None:
        """Call what is to be called before the next poll."""
        while self._soon:
            self._soon.pop()()

    def poll(self, sleeps_ns: int = 2 * US) -> None:
        """Ask the kernel, which lets the client wait until something can be read."""
        self.end_turn()
        self.now += sleeps_ns


def test_answers_that_woke_the_client_waited_for_those_before_them() -> None:
    """Three answers come in while the client sleeps, and each takes 30 us: 0, 30 and 60 us."""
    loop = Loop()
    loop.poll(sleeps_ns=10 * SLEPT_NS)
    assert [loop.read(30 * US) for _ in range(3)] == [0, 30 * US, 60 * US]


def test_an_answer_that_came_in_while_others_were_read_waited_since_then_at_most() -> None:
    """The poll that found it did not sleep: it came in after the poll before, so up to 102 us ago, and no more."""
    loop = Loop()
    loop.poll(sleeps_ns=10 * SLEPT_NS)
    loop.read(100 * US)
    loop.poll()
    assert loop.read(50 * US) == 102 * US
    loop.poll()
    assert loop.read(10 * US) == 52 * US


def test_an_answer_that_came_in_while_the_client_sent_waited_since_then_at_most() -> None:
    """A burst of requests takes 3 ms, in which nothing is read."""
    loop = Loop()
    loop.poll(sleeps_ns=10 * SLEPT_NS)
    loop.send(3_000 * US)
    loop.poll()
    assert loop.read(10 * US) == 3_002 * US


def test_what_is_sent_just_after_reading_is_of_the_same_turn() -> None:
    """An answer that came in while another one was read, and then requests were sent: it waited for both, at most."""
    for turn_ended_first in (False, True):
        loop = Loop()
        loop.poll(sleeps_ns=10 * SLEPT_NS)
        loop.read(100 * US)
        if turn_ended_first:
            loop.end_turn()
        loop.send(200 * US)
        loop.poll()
        assert loop.read(10 * US) == 302 * US


def test_the_bound_does_not_grow_over_the_turns_of_a_busy_client() -> None:
    """A client that is woken again and again to send has polled in between: only its latest turn counts."""
    loop = Loop()
    loop.poll(sleeps_ns=10 * SLEPT_NS)
    loop.read(10 * US)
    for _ in range(100):
        loop.poll()
        loop.send(15 * US)
    loop.poll()
    assert loop.read(10 * US) == 17 * US


def test_a_client_that_sleeps_lets_nothing_wait() -> None:
    """After any work, a sleep shows that nothing was there to be read."""
    loop = Loop()
    for _ in range(3):
        loop.poll(sleeps_ns=10 * SLEPT_NS)
        loop.send(500 * US)
        loop.poll(sleeps_ns=10 * SLEPT_NS)
        assert loop.read(500 * US) == 0
