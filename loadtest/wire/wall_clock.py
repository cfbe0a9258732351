"""How long ago a time stamp of the wall clock was, and that this is not known where the clock was set meanwhile."""

import time

STEP_NS = 1_000_000
"""Wall clock and monotonic clock part by less than this between two answers, unless the wall clock is set."""


class WallClock:
    """Reads time stamps of CLOCK_REALTIME, which anybody may set while a run is under way."""

    def __init__(self) -> None:
        self._ahead_ns = _ahead_ns()

    def since(self, stamp: int) -> int | None:
        """Nanoseconds since a stamp; None where the clock was set after the last reading.

        Args:
            stamp: Reading of CLOCK_REALTIME, in nanoseconds.
        """
        ahead_ns, before_ns = _ahead_ns(), self._ahead_ns
        self._ahead_ns = ahead_ns
        if abs(ahead_ns - before_ns) >= STEP_NS:
            return None
        return time.time_ns() - stamp


def _ahead_ns() -> int:
    return time.time_ns() - time.monotonic_ns()
