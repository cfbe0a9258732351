"""What a run records: four histograms, the outcome of every request and a time line, all of bounded size."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from loadtest.load.histogram import Histogram, Int64s
from loadtest.load.loop_turn import UNKNOWN
from loadtest.load.schedule import NS
from loadtest.load.send_sample import FAILED, SendSample
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

    `receive_lag` runs from the moment at which an answer became readable, or one before it, to its end. `sends` is a
    sample of the requests in the order in which they were due.
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
    sends: SendSample = field(default_factory=SendSample)
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
        self.sends.merge(other.sends)
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
        duration_s: Planned length of the run; 0 for a recorder that keeps no sample of the sends.
    """

    def __init__(self, window_ns: int, duration_s: float = 0.0) -> None:
        self.tally = Tally(sends=SendSample(duration_s))
        self._samples: list[int] = []
        self._unanswered: list[int] = []
        self.add = self._samples.extend
        self._window_ns = window_ns
        self._window_end = 0
        self._origin = 0
        self._responses: list[Int64s] = []
        self._failed_before = 0

    def start(self, origin: int) -> None:
        """Set the clock reading that counts as the start of the run."""
        self._origin = origin
        self._window_end = origin + self._window_ns

    def unanswered(self, intended: int, sent: int, free: int) -> None:
        """Take note of when a request was sent that has now failed; it is counted by whoever knows how."""
        self._unanswered += (intended, sent, free)

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
        elif len(self._samples) + len(self._unanswered) >= FIELDS * 1024:
            self.flush()

    def flush(self) -> None:
        """Add the samples so far to the histograms, and forget them."""
        if self._unanswered:
            intended, sent, free = _columns(self._unanswered, 3)
            self._keep(intended, sent, np.maximum(intended, free), np.full(intended.size, FAILED))
        if not self._samples:
            return
        intended, sent, free, readable, done = _columns(self._samples, FIELDS)
        possible = np.maximum(intended, free)
        response = done - intended
        tally = self.tally
        tally.ok += response.size
        tally.response.record(response)
        tally.service.record(done - sent)
        tally.lag.record(sent - possible)
        # No answer was there before its request.
        tally.receive_lag.record((done - np.maximum(readable, sent))[readable != UNKNOWN])
        tally.last_answer_ns = int(done[-1]) - self._origin
        self._responses.append(response)
        self._keep(intended, sent, possible, response)

    def _keep(self, intended: Int64s, sent: Int64s, possible: Int64s, response: Int64s) -> None:
        origin = self._origin
        self.tally.sends.add(intended - origin, possible - origin, sent - origin, response)

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


def _columns(samples: list[int], fields: int) -> Int64s:
    """The samples as an array of shape (fields, samples); the list is empty afterwards."""
    columns = np.fromiter(samples, np.int64, len(samples)).reshape(-1, fields).T
    samples.clear()
    return columns
