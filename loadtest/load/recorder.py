"""What a run records: four histograms, the outcome of every request and a time line, all of bounded size."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from loadtest.load.histogram import Histogram, Int64s
from loadtest.load.loop_turn import UNKNOWN
from loadtest.load.schedule import NS
from loadtest.load.thinned import Thinned
from loadtest.records import Number

FIELDS = 5
"""Clock readings of a sample, see `Recorder`."""


@dataclass(frozen=True)
class Window:
    """One stretch of the time line.

    Attributes:
        end_s: End of the stretch, in seconds from the start of the run.
        ok: Correct answers that arrived in it.
        failed: Errors and mismatches in it.
        p50_ms: Median response time of the correct answers, in milliseconds; NaN without any.
        p99_ms: Their 99th percentile.
        max_ms: Their maximum.
        waiting: Requests due but not yet sent at the end of the stretch.
    """

    end_s: float
    ok: int
    failed: int
    p50_ms: Number
    p99_ms: Number
    max_ms: Number
    waiting: int


@dataclass
class Tally:
    """The mergeable outcome of a run: counts and histograms of one process or of several.

    `send_gaps` are the gaps between actual sends of a process in units of the mean gap that its schedule promises, and
    `successive` the response times in nanoseconds in the order of the intended sends; of long runs a part of both.
    `receive_lag` runs from the moment at which an answer became readable, or one before it, to its end.
    `sent_over_ns` lies between the first and the last send of an open loop.
    """

    scheduled: int = 0
    sent: int = 0
    ok: int = 0
    mismatched: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    receive_lag: Histogram = field(default_factory=Histogram)
    send_gaps: Thinned = field(default_factory=Thinned)
    successive: Thinned = field(default_factory=Thinned)
    sent_over_ns: int = 0
    windows: list[Window] = field(default_factory=list)
    last_answer_ns: int = 0

    @property
    def failed(self) -> int:
        """Requests without a correct answer."""
        return self.mismatched + self.errors.total()

    def merge(self, other: "Tally") -> None:
        """Add the requests of another process that ran at the same time.

        The windows are merged by position; a percentile of a merged window is the larger of the two, an upper bound.
        """
        self.scheduled += other.scheduled
        self.sent += other.sent
        self.ok += other.ok
        self.mismatched += other.mismatched
        self.errors.update(other.errors)
        self.response.merge(other.response)
        self.service.merge(other.service)
        self.lag.merge(other.lag)
        self.receive_lag.merge(other.receive_lag)
        self.send_gaps.merge(other.send_gaps)
        self.successive.merge(other.successive)
        self.sent_over_ns = max(self.sent_over_ns, other.sent_over_ns)
        self.last_answer_ns = max(self.last_answer_ns, other.last_answer_ns)
        shared = min(len(self.windows), len(other.windows))
        longer = self.windows if len(self.windows) > shared else other.windows
        self.windows = [_merged(*pair) for pair in zip(self.windows, other.windows, strict=False)] + longer[shared:]


def _merged(one: Window, two: Window) -> Window:
    return Window(
        one.end_s,
        one.ok + two.ok,
        one.failed + two.failed,
        float(np.fmax(one.p50_ms, two.p50_ms)),
        float(np.fmax(one.p99_ms, two.p99_ms)),
        float(np.fmax(one.max_ms, two.max_ms)),
        one.waiting + two.waiting,
    )


class Recorder:
    """Takes samples one by one as cheaply as Python can and folds them into a `Tally` in blocks.

    A sample is `FIELDS` clock readings in nanoseconds: intended send, actual send, the moment its connection became
    free before it, the one before which its answer was not readable, and the end of its answer. They are appended to
    one flat list, which takes a tenth of the time of an `array`; `flush` does the arithmetic.

    Args:
        window_ns: Length of a stretch of the time line.
    """

    def __init__(self, window_ns: int) -> None:
        self.tally = Tally()
        self._samples: list[int] = []
        self.add = self._samples.extend
        self._window_ns = window_ns
        self._window_end = 0
        self._origin = 0
        self._responses: list[Int64s] = []
        self._failed_before = 0
        self._sends: list[int] = []
        self.add_send = self._sends.append
        self._first_send = 0
        self._gap_ns = 0.0

    def start(self, origin: int, rate: float = 0.0) -> None:
        """Set the clock reading that counts as the start of the run, and the rate that an open loop promises."""
        self._origin = origin
        self._gap_ns = NS / rate if rate else 0.0
        self._window_end = origin + self._window_ns

    @property
    def failed(self) -> int:
        """Requests so far that ended as a mismatch or an error."""
        return self.tally.failed

    @property
    def ended(self) -> int:
        """Requests that have ended so far."""
        return self.tally.ok + len(self._samples) // FIELDS + self.failed

    def housekeeping(self, now: int, waiting: int) -> None:
        """Fold the samples in when they are many, and close the window when its time is over."""
        if now >= self._window_end:
            self.flush()
            while self._window_end <= now:  # several, where the client was held up: windows stay aligned for `merge`
                self._close_window(waiting)
                self._window_end += self._window_ns
        elif len(self._samples) >= FIELDS * 1024:
            self.flush()

    def flush(self) -> None:
        """Add the samples so far to the histograms, and forget them."""
        self._flush_sends()
        if not self._samples:
            return
        block = np.fromiter(self._samples, np.int64, len(self._samples)).reshape(-1, FIELDS)
        intended, sent, free, readable, done = block.T
        self._samples.clear()
        response = done - intended
        tally = self.tally
        tally.ok += response.size
        tally.response.record(response)
        tally.service.record(done - sent)
        tally.lag.record(sent - np.maximum(intended, free))
        # No answer was there before its request.
        tally.receive_lag.record((done - np.maximum(readable, sent))[readable != UNKNOWN])
        tally.last_answer_ns = int(done[-1]) - self._origin
        self._responses.append(response)
        tally.successive.add(response[np.argsort(intended, kind="stable")].astype(np.float64))

    def _flush_sends(self) -> None:
        if len(self._sends) < 2:
            return
        sends = np.array(self._sends, dtype=np.float64)
        self._first_send = self._first_send or self._sends[0]
        self.tally.sent_over_ns = self._sends[-1] - self._first_send
        self.tally.send_gaps.add(np.diff(sends) / self._gap_ns)
        del self._sends[:-1]  # the last one begins the next gap

    def finish(self, now: int) -> Tally:
        """Close the last window and return the tally."""
        self.flush()
        if self._responses or self.failed > self._failed_before:
            self._window_end = min(self._window_end, now)
            self._close_window(0)
        return self.tally

    def _close_window(self, waiting: int) -> None:
        ok = sum(part.size for part in self._responses)
        p50 = p99 = top = math.nan
        if ok:
            # Not np.percentile: its first call imports a module, a pause in mid-run that takes a file descriptor.
            ranks = [math.ceil(share * ok) - 1 for share in (0.5, 0.99, 1.0)]
            p50, p99, top = (np.partition(np.concatenate(self._responses), ranks)[ranks] / 1e6).tolist()
        failed = self.failed - self._failed_before
        end_s = (self._window_end - self._origin) / NS
        self.tally.windows.append(Window(end_s, ok, failed, p50, p99, top, waiting))
        self._responses.clear()
        self._failed_before += failed
