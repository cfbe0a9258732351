"""A bounded sample of a run's requests in the order in which they were due, for tests of what was really sent.

The run is cut into `PERIODS` periods, and of each the first stretch is kept whole: gaps between sends that follow each
other, which requests drawn one by one would not have. The stretches are as long as the periods until `MOST` requests
are kept; then they are cut to half, again and again. So a run of any length and rate needs the memory of `MOST`, and
the samples of several processes fit together: the shorter stretches are a part of the longer ones.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from loadtest.load.histogram import Int64s

PERIODS = 20
MOST = 131_072

FAILED = 1 << 62
"""Response time of a request that ended without a correct answer: it is slower than any that was answered."""


@dataclass(frozen=True)
class SentRequests:
    """Requests in ascending order of their intended sends; times in nanoseconds from the start of the run.

    Attributes:
        stretch: Number of the stretch of each; only requests of one stretch follow each other.
        intended: When it was due.
        possible: When it was due and a connection was free for it.
        sent: When it was sent.
        response: Response time; `FAILED` without a correct answer.
    """

    stretch: Int64s
    intended: Int64s
    possible: Int64s
    sent: Int64s
    response: Int64s

    @property
    def stretches(self) -> list[slice]:
        """The requests of each stretch."""
        edges = [0, *(np.flatnonzero(np.diff(self.stretch)) + 1).tolist(), self.stretch.size]
        return list(itertools.starmap(slice, itertools.pairwise(edges)))


class SendSample:
    """Takes requests in blocks, in any order, and keeps those of its stretches.

    Args:
        duration_s: Planned length of the run; 0 for a sample that keeps nothing.
    """

    def __init__(self, duration_s: float = 0.0) -> None:
        self._period = round(duration_s * 1e9 / PERIODS)
        self._length = self._period
        self._blocks: list[Int64s] = []
        self._kept = 0

    def add(self, intended: Int64s, possible: Int64s, sent: Int64s, response: Int64s) -> None:
        """Add a block of requests: times from the start of the run, and response times, in nanoseconds."""
        if self._period <= 0:
            return
        columns = (intended, possible, sent, response)
        if self._length < self._period:
            (kept,) = np.nonzero(intended % self._period < self._length)
            if not kept.size:
                return
            if kept.size < intended.size:
                columns = (intended[kept], possible[kept], sent[kept], response[kept])
        self._take(np.stack(columns))

    def merge(self, other: "SendSample") -> None:
        """Add the requests of another process that ran at the same time by a plan of the same length."""
        if self._period <= 0:
            self._period, self._length = other._period, other._length
        self._shorten(other._length)
        for block in other._blocks:
            self._take(block[:, block[0] % self._period < self._length])

    @property
    def requests(self) -> SentRequests:
        """What was kept."""
        whole = self._whole()
        whole = whole[:, np.argsort(whole[0], kind="stable")]
        cut = self._length < self._period
        stretch = whole[0] // self._period if cut else np.zeros(whole.shape[1], np.int64)
        return SentRequests(stretch, *whole)

    def _whole(self) -> Int64s:
        """All blocks as one, of shape (4, requests)."""
        return np.concatenate(self._blocks, axis=1) if self._blocks else np.empty((4, 0), np.int64)

    def _take(self, block: Int64s) -> None:
        self._blocks.append(block)
        self._kept += block.shape[1]
        while self._kept > MOST and self._length > 1:
            self._shorten(self._length // 2)

    def _shorten(self, length: int) -> None:
        if length < self._length:
            self._length = length
            whole = self._whole()
            self._blocks = [whole[:, whole[0] % self._period < length]]
            self._kept = self._blocks[0].shape[1]
