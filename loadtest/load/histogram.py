"""A histogram with the layout of HdrHistogram, recorded in blocks with NumPy.

Values are whole nanoseconds from 0 to an hour, kept to three significant digits (within 1 part in 1,024), in a table
of fixed size: a run of ten million requests takes the memory of a run of ten, and histograms of several processes
are added without loss.  The index formula is the one of HdrHistogram (Gil Tene, http://hdrhistogram.org) for 2,048
sub-buckets and a unit of one nanosecond; the tests compare it with the ``hdrhistogram`` package.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

SUB_BUCKET_BITS = 11
HALF_BITS = SUB_BUCKET_BITS - 1
HALF = 1 << HALF_BITS
HIGHEST = 3_600 * 1_000_000_000
SIZE = ((HIGHEST.bit_length() - SUB_BUCKET_BITS) << HALF_BITS) + (1 << SUB_BUCKET_BITS)

Int64s = npt.NDArray[np.int64]


def _index(values: Int64s) -> Int64s:
    """Counter index of each value."""
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64)
    bucket = np.maximum(bits - SUB_BUCKET_BITS, 0)
    index: Int64s = (bucket << HALF_BITS) + (values >> bucket)
    return index


def _highest_equivalent(index: Int64s) -> Int64s:
    """Largest value that shares a counter with this index."""
    bucket = np.maximum((index >> HALF_BITS) - 1, 0)
    sub_bucket = index - (bucket << HALF_BITS)
    highest: Int64s = ((sub_bucket + 1) << bucket) - 1
    return highest


def rank_of(percent: float, count: int) -> int:
    """The rank of a percentile among so many values, counted from the smallest, 1 at least."""
    # The tolerance keeps a rank such as 99.9 % of 1,000 from being pushed up to 1,000 by binary rounding.
    return max(math.ceil(percent / 100 * count - 1e-6), 1)


class Histogram:
    """Counts of durations in nanoseconds, with the exact count, sum, minimum and maximum beside them."""

    def __init__(self) -> None:
        self.counts: Int64s = np.zeros(SIZE, dtype=np.int64)
        self.count = 0
        self.total = 0
        self.min = HIGHEST
        self.max = 0

    def record(self, values: Int64s) -> None:
        """Add a block of durations.

        Args:
            values: Nanoseconds, any shape; below 0 is taken as 0 and above an hour as an hour.
        """
        if values.size == 0:
            return
        values = np.clip(values, 0, HIGHEST)
        np.add.at(self.counts, _index(values), 1)
        self.count += values.size
        self.total += int(values.sum())
        self.min = min(self.min, int(values.min()))
        self.max = max(self.max, int(values.max()))

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's counts to this one."""
        self.counts += other.counts
        self.count += other.count
        self.total += other.total
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    def corrected(self, expected_interval_ns: int) -> "Histogram":
        """A copy corrected for coordinated omission, by the rule of HdrHistogram.

        A time longer than the interval at which one source was to send kept that source from sending: for each such
        time the ones are added that the requests in between would have had, shorter by one interval each, down to one
        interval (``copyCorrectedForCoordinatedOmission`` of HdrHistogram; wrk does the same to its closed loop). It
        assumes that they would have waited in line, and it knows nothing of what the server would have done under them.

        Args:
            expected_interval_ns: Nanoseconds between two sends of one source; 0 or less corrects nothing.
        """
        copy = Histogram()
        copy.merge(self)
        (used,) = np.nonzero(self.counts)
        if expected_interval_ns <= 0 or not used.size:
            return copy
        edges = _highest_equivalent(np.arange(SIZE, dtype=np.int64))
        interval = expected_interval_ns
        for index in used[_highest_equivalent(used.astype(np.int64)) >= 2 * interval].tolist():
            value, count = min(int(edges[index]), self.max), int(self.counts[index])
            missing = value // interval - 1  # value - k * interval, for k from 1 to this, is at least the interval
            up_to = edges[: index + 1]
            # How many of them exceed each edge: those with k below (value - edge) / interval.
            beyond = np.clip(-((up_to - value) // interval) - 1, 0, missing)
            within = np.diff(missing - beyond, prepend=0)
            copy.counts[: index + 1] += count * within
            copy.count += count * missing
            copy.total += count * (missing * value - interval * missing * (missing + 1) // 2)
            if missing:
                copy.min = min(copy.min, value - missing * interval)
        return copy

    def percentile(self, percent: float) -> float:
        """The value that ``percent`` of the recorded ones do not exceed.

        Args:
            percent: From 0 to 100.

        Returns:
            Nanoseconds: the largest value of the counter in which the rank falls (HdrHistogram's convention), never
            more than the exact maximum; NaN where nothing was recorded.
        """
        return self.percentiles([percent])[0]

    def percentiles(self, percents: Iterable[float]) -> list[float]:
        """Several percentiles in one pass; see `percentile`."""
        return self.at_ranks([rank_of(percent, self.count) for percent in percents])

    def at_ranks(self, ranks: Sequence[int]) -> list[float]:
        """The values that so many of the recorded ones do not exceed, in nanoseconds; NaN where nothing was recorded.

        Args:
            ranks: From 1 to the number of recorded values.
        """
        if self.count == 0:
            return [float("nan")] * len(ranks)
        index = np.searchsorted(np.cumsum(self.counts), np.array(ranks, dtype=np.int64))
        return [float(value) for value in np.minimum(_highest_equivalent(index.astype(np.int64)), self.max)]

    @property
    def mean(self) -> float:
        """Exact arithmetic mean in nanoseconds; NaN where nothing was recorded."""
        return self.total / self.count if self.count else float("nan")

    def nonzero(self) -> tuple[list[int], list[int]]:
        """The values (highest equivalent, ns) that occurred and how often: the whole distribution, compactly."""
        (index,) = np.nonzero(self.counts)
        return _highest_equivalent(index.astype(np.int64)).tolist(), self.counts[index].tolist()

    @classmethod
    def from_counts(cls, values: Iterable[int], counts: Iterable[int], total: int, maximum: int) -> "Histogram":
        """Rebuild a histogram from `nonzero` and its exact sum and maximum."""
        histogram = cls()
        array = np.array(list(values), dtype=np.int64)
        if array.size:
            np.add.at(histogram.counts, _index(array), np.array(list(counts), dtype=np.int64))
            histogram.count = int(histogram.counts.sum())
            histogram.total, histogram.max, histogram.min = total, maximum, min(int(array[0]), maximum)
        return histogram
