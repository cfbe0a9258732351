"""Time stamps of a clock that is set while they are read."""

import time
from types import SimpleNamespace

import pytest

from loadtest.wire import wall_clock
from loadtest.wire.wall_clock import WallClock

HOUR_NS = 3_600 * 10**9


def test_a_stamp_from_before_the_clock_was_set_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forth and back: no answer is taken to have waited for an hour, or to come before its request."""
    now = {"real": 10 * HOUR_NS, "monotonic": HOUR_NS}
    clocks = SimpleNamespace(time_ns=lambda: now["real"], monotonic_ns=lambda: now["monotonic"])
    monkeypatch.setattr(wall_clock, "time", clocks)
    clock = WallClock()
    for step in (0, HOUR_NS, -HOUR_NS, 0):
        stamp = now["real"]
        for name in now:
            now[name] += 5_000
        now["real"] += step
        assert clock.since(stamp) == (None if step else 5_000)


def test_with_a_clock_that_runs_on_every_stamp_is_read() -> None:
    """This machine's own clocks."""
    clock = WallClock()
    waited = [clock.since(time.time_ns()) for _ in range(1_000)]
    assert sum(one is not None and one >= 0 for one in waited) > 900
