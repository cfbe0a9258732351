"""Since when an answer has been readable, as far as a program can tell that does not ask the kernel.

An event loop asks the kernel which connections can be read (a poll), reads them one after the other, and does what else
is due before it asks again. An answer waits while the client reads others, and while it sends. The loop does not say
when a poll returned, but its callbacks tell enough for a bound:

- What is read after a poll had not arrived at the poll before it, so it was not readable before the first callback
  that followed that one.
- Where the loop did nothing for `SLEPT_NS` before the first read, the poll slept until something arrived: what is read
  then was not readable before that.

So the receive lag is not told as less than reading and sending made it. It may be told as more, by the time from the
previous poll to the arrival; with a client that never sleeps that is most of a short response time. Not seen is the
time from the arrival until the operating system lets this process run, which looks like a quiet network: what holds up
the whole process delays its sends too, so an open loop shows it as send lag, and `loadtest.wire.stamped_transport` sees
it. Connecting, which callbacks of the loop itself do, counts as sleep.
"""

import time
from collections.abc import Callable
from typing import Protocol

SLEPT_NS = 20_000
"""A poll that finds something at once, and the read after it, take a few microseconds; a sleep is longer than this."""

UNKNOWN = -1
"""In place of a reading of the clock."""


class Turn(Protocol):
    """What a connection asks about the present turn of its event loop.

    Attributes:
        over: Whether what is read now is the first of its turn, so that `begin` is due.
        readable: Reading of the clock before which nothing that is read in this turn was readable, in nanoseconds;
            `UNKNOWN` where nobody knows.
    """

    over: bool
    readable: int

    def begin(self, now: int) -> None:
        """Take note that something is read for the first time since the last poll."""

    def worked(self, began: int) -> None:
        """Take note that the client did something else from this time until now, such as sending what was due."""


class LoopTurn:
    """The turns of an event loop, by what its callbacks tell.

    Args:
        call_soon: Has something called before the loop's next poll, or at once after it: that of an asyncio loop.
        clock: Returns the time in nanoseconds.

    Attributes:
        over: See `Turn`.
        readable: See `Turn`.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], clock: Callable[[], int]) -> None:
        self.over = True
        self._call_soon = call_soon
        self._clock = clock
        self._sending = False  # whether the last thing that was done was not reading
        self._idle_from = self._began = self.readable = clock()

    def begin(self, now: int) -> None:
        """See `Turn`."""
        self.over = False
        self.readable = now if now - self._idle_from > SLEPT_NS else self._began
        self._began = now
        self._sending = False
        self._call_soon(self._end)

    def _end(self) -> None:
        self.over = True
        self._idle_from = self._clock()

    def worked(self, began: int) -> None:
        """See `Turn`."""
        # At once after reading, it may belong to the same poll as what was read.
        if self.over and (self._sending or began - self._idle_from > SLEPT_NS):
            self._began = began
        self._sending = True
        self._idle_from = self._clock()


class KnownTurn:
    """A turn of which somebody else knows since when what is read has been readable: the kernel.

    Attributes:
        over: See `Turn`; never.
        readable: See `Turn`.
    """

    def __init__(self) -> None:
        self.over = False
        self.readable = 0

    def waited(self, waited_ns: int | None) -> None:
        """Take note that what is read next has been readable for so long; None where that is not known after all."""
        self.readable = UNKNOWN if waited_ns is None else time.monotonic_ns() - waited_ns

    def begin(self, now: int) -> None:
        """See `Turn`; there is nothing to find out."""

    def worked(self, began: int) -> None:
        """See `Turn`; there is nothing to find out."""
