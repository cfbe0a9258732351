"""Wake-ups at a nanosecond, not at the next millisecond.

The timers of libuv, and the timeouts of epoll, count whole milliseconds, which is longer than many a prediction takes.
On Linux a timerfd (see timerfd_create(2)) on the monotonic clock wakes the event loop by the kernel's high-resolution
timers; elsewhere the loop's own timer is used, and the send lag in the results shows what that costs.

A core that has slept for a while wakes up late, on a virtual machine by a tenth of a millisecond and more, and a
response time runs from the intended send: a client that overslept would make a fast server look slower. So after a
longer pause the loop is woken early and polls until the time has come.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable

from loadtest.load.schedule import NS

TFD_NONBLOCK = 0o4000
TFD_CLOEXEC = 0o2000000
TFD_TIMER_ABSTIME = 1
CLOCK_MONOTONIC = 1

PAUSE_NS = 1_000_000
"""From a pause of this length on, the loop is woken early. Shorter ones stay as they are: at thousands of requests a
second the client would do nothing but poll."""

EARLY_NS = 200_000
"""How much earlier: longer than most wake-ups take, and at no rate more than a fifth of the client's time."""


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class LoopTimer:
    """The portable timer: as coarse as the event loop's.

    Attributes:
        callback: What is called.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self.callback: Callable[[], None] = _nothing
        self._loop, self._clock = loop, clock
        self._handle: asyncio.TimerHandle | None = None

    def wake_at(self, when: int) -> None:
        """Call the callback at this reading of the clock (ns), and forget any earlier request."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(when - self._clock(), 0) / NS, self.callback)

    def close(self) -> None:
        """Never call the callback again."""
        if self._handle is not None:
            self._handle.cancel()


class FdTimer:
    """A timerfd watched by the event loop; the kernel's part of it goes by the clock of `time.monotonic_ns`.

    Attributes:
        callback: What is called.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self.callback: Callable[[], None] = _nothing
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._settime = libc.timerfd_settime
        self._spec = _Itimerspec()
        self._value = self._spec.value
        self._spec_pointer = ctypes.byref(self._spec)
        self._loop, self._clock = loop, clock
        self._when = 0
        self._set = False
        loop.add_reader(self._fd, self._expired)

    def wake_at(self, when: int) -> None:
        """Call the callback at this reading of the clock (ns), and forget any earlier request."""
        self._set = True
        self._when = when
        early = EARLY_NS if when - self._clock() > PAUSE_NS else 0
        self._value.seconds, self._value.nanoseconds = divmod(when - early, NS)
        self._settime(self._fd, TFD_TIMER_ABSTIME, self._spec_pointer, None)

    def _expired(self) -> None:
        if self._clock() < self._when:
            return  # the descriptor stays readable, so the loop looks for answers and is here again at once
        # Setting the timer anew also takes its expiry back, which saves a system call for each request.
        self._set = False
        self.callback()
        if not self._set:
            with contextlib.suppress(BlockingIOError):  # set by another callback between the expiry and this call
                os.read(self._fd, 8)

    def close(self) -> None:
        """Never call the callback again."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


def make_timer(loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> FdTimer | LoopTimer:
    """Return the best timer of this platform; its callback is set before it is used.

    Args:
        loop: The running event loop.
        clock: Returns the time in nanoseconds; on Linux it has to be that of `time.monotonic_ns`.
    """
    return FdTimer(loop, clock) if sys.platform == "linux" else LoopTimer(loop, clock)


def _nothing() -> None:
    """The callback of a timer before it is given one."""
