"""How much successive response times depend on each other, and how many independent requests they are worth.

Spearman's rank correlation between the response times of a request and of the one that was due after it. Response times
of a queue depend on each other: those of ten thousand requests tell less of a percentile than those of ten thousand
runs would. For a first-order autoregressive process of correlation r, n values tell as much as ``n (1 - r) / (1 + r)``
independent ones (Bayley and Hammersley, Supplement to JRSS 8, 1946, 184-197); Lancet (Kogias et al., USENIX ATC 2019)
tests for it the same way.

In a queue near saturation the dependence goes on for longer than in such a process, and differs from percentile to
percentile. What counts for a percentile is the series that says of each request whether it was faster (Heidelberger and
Lewis, Operations Research 32, 1984, 185-209); its autocorrelation is summed up over a window of five times the sum
(Sokal, Monte Carlo Methods in Statistical Mechanics, 1989, section 3).
"""

import math

import numpy as np
import numpy.typing as npt

from loadtest.load.histogram import Int64s
from loadtest.load.send_sample import SentRequests

LEAST_PAIRS = 100
LARGEST = 0.9999
WINDOW = 5


def lag_1_correlation(requests: SentRequests) -> float:
    """Spearman's rank correlation of successive response times; NaN where too few are known or all are equal.

    Failed requests rank as the slowest; ties have the mean of their ranks.
    """
    follow = np.flatnonzero(np.diff(requests.stretch) == 0)
    if follow.size < LEAST_PAIRS:
        return math.nan
    ranks = _ranks(requests.response)
    one, two = ranks[follow], ranks[follow + 1]
    one, two = one - one.mean(), two - two.mean()
    spread = math.sqrt(float(one @ one) * float(two @ two))
    return float(one @ two) / spread if spread > 0 else math.nan


def worth(count: int, correlation: float) -> float:
    """How many independent requests ``count`` of them tell as much as; a correlation below 0 is taken as none."""
    r = min(max(correlation, 0.0), LARGEST) if not math.isnan(correlation) else 0.0
    return count * (1 - r) / (1 + r)


def autocorrelation_time(requests: SentRequests, threshold_ns: float) -> float:
    """How many requests tell as much of the share of those below a threshold as a single independent one.

    Args:
        requests: Successive ones.
        threshold_ns: For example the percentile whose interval is sought.

    Returns:
        1 plus twice the sum of the autocorrelations, at least 1; in stretches too short for it, a lower bound.
    """
    below = (requests.response <= threshold_ns).astype(np.float64)
    if not below.size or below.min() == below.max():
        return 1.0
    parts = [below[part] - below.mean() for part in requests.stretches]
    covariance = np.zeros(max(part.size for part in parts))
    for part in parts:
        spectrum = np.fft.rfft(part, 2 * part.size)
        covariance[: part.size] += np.fft.irfft(spectrum * spectrum.conj())[: part.size]
    times = 2 * np.cumsum(covariance / covariance[0]) - 1
    enough = np.flatnonzero(np.arange(times.size) >= WINDOW * times)
    return max(float(times[enough[0] if enough.size else -1]), 1.0)


def _ranks(values: Int64s) -> npt.NDArray[np.float64]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[which]
    return mean
