"""The timer that an open loop sends by: never early, woken ahead of time after a pause, and polling until then."""

import asyncio
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from loadtest.load import timer as timer_module
from loadtest.load.schedule import NS
from loadtest.load.timer import FdTimer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's own")


def in_loop(body: Callable[[FdTimer, asyncio.Event], None], clock: Callable[[], int] = time.monotonic_ns) -> None:
    """Run the body with a timer in an event loop, until it sets the event."""

    async def run() -> None:
        done = asyncio.Event()
        timer = FdTimer(asyncio.get_running_loop(), clock)
        try:
            body(timer, done)
            await asyncio.wait_for(done.wait(), 30)
        finally:
            timer.close()

    uvloop.run(run())


@pytest.mark.parametrize("pause_ns", [0, 100_000, 900_000, 1_100_000, 5_000_000])
def test_the_callback_is_not_early(pause_ns: int) -> None:
    """After short pauses and after long ones, again and again."""
    called: list[int] = []
    due: list[int] = []

    def body(timer: FdTimer, done: asyncio.Event) -> None:
        def callback() -> None:
            called.append(time.monotonic_ns())
            if len(called) == 20:
                done.set()
            else:
                sleep()

        def sleep() -> None:
            due.append(time.monotonic_ns() + pause_ns)
            timer.wake_at(due[-1])

        timer.callback = callback
        sleep()

    in_loop(body)
    assert all(at >= when for at, when in zip(called, due, strict=True))


@pytest.mark.parametrize(("pause_from", "early"), [(NS, 10 * NS), (7200 * NS, 0)])
def test_the_loop_is_woken_early_after_a_pause_and_only_then(
    pause_from: int, early: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For when the kernel's timer is set, as the kernel says: an hour ahead."""
    monkeypatch.setattr(timer_module, "PAUSE_NS", pause_from)
    monkeypatch.setattr(timer_module, "EARLY_NS", 10 * NS)

    def body(timer: FdTimer, done: asyncio.Event) -> None:
        when = time.monotonic_ns() + 3600 * NS
        timer.wake_at(when)
        before = time.monotonic_ns()
        left = time_left()
        after = time.monotonic_ns()
        assert before + left <= when - early <= after + left
        done.set()

    in_loop(body)


def time_left() -> int:
    """Nanoseconds until the only timer of this process that is set so far ahead expires."""
    texts = [path.read_text() for path in Path("/proc/self/fdinfo").iterdir() if path.exists()]
    found = [re.search(r"it_value: \((\d+), (\d+)\)", text) for text in texts]
    times = [int(one[1]) * NS + int(one[2]) for one in found if one]
    return max(times)


def test_answers_are_read_while_it_waits_for_the_time() -> None:
    """The clock stands still before the time until an answer is read: a loop that waited for the time would hang."""
    now = [NS]
    seen: list[bytes] = []
    ours, theirs = socket.socketpair()

    def body(timer: FdTimer, done: asyncio.Event) -> None:
        def read() -> None:
            seen.append(ours.recv(1))
            now[0] += 5 * NS

        def callback() -> None:
            seen.append(b"time")
            done.set()

        loop = asyncio.get_running_loop()
        loop.add_reader(ours.fileno(), read)
        timer.callback = callback
        timer.wake_at(2 * NS)  # long past by the kernel's clock, so the timer expires at once
        loop.call_later(0.01, theirs.send, b"a")

    with ours, theirs:
        in_loop(body, clock=lambda: now[0])
    assert seen == [b"a", b"time"]
