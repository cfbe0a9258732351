"""How much successive response times depend on each other, and what that does to the interval of a single run.

Requests that follow each other share a queue and a stall, so a run of n requests tells less than n independent ones.
The dependence is Spearman's rank correlation of each response time with the next one. With the correlation r the run is
worth ``n (1 - r) / (1 + r)`` requests (the effective sample size of a first-order process: Bayley and Hammersley, The
"Effective" Number of Independent Observations in an Autocorrelated Time Series, JRSS Supplement 8, 1946).
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from loadtest.judge.intervals import CONFIDENCE
from loadtest.judge.ranked import at_ranks
from loadtest.load.histogram import Histogram

Floats = npt.NDArray[np.float64]

CONSIDERABLE = 0.1
"""A smaller correlation is told to nobody; it widens the interval all the same."""


def lag_one_correlation(blocks: Sequence[Floats]) -> float:
    """Spearman's correlation of each response time with the next one.

    Args:
        blocks: Response times in the order of their intended sends; those of different blocks do not follow each other.

    Returns:
        From -1 to 1, averaged over the blocks by their length; NaN where there are too few response times.
    """
    found = [(len(block), _spearman(block)) for block in blocks if len(block) > 10]
    told = [(length, value) for length, value in found if not math.isnan(value)]
    if not told:
        return math.nan
    return sum(length * value for length, value in told) / sum(length for length, _ in told)


def _spearman(block: Floats) -> float:
    ranks = _ranks(block)
    one, two = ranks[:-1], ranks[1:]
    spread = float(one.std() * two.std())
    return float(((one - one.mean()) * (two - two.mean())).mean()) / spread if spread else math.nan


def _ranks(values: Floats) -> Floats:
    """Ranks from 0; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Floats = (ends - (counts + 1) / 2)[place]
    return middle


def effective(count: int, correlation: float) -> float:
    """How many independent requests so many dependent ones are worth; never more than there are."""
    r = min(max(correlation, 0.0), 0.999) if not math.isnan(correlation) else 0.0
    return count * (1 - r) / (1 + r)


def percentile_interval(answers: Histogram, failed: int, percent: float, correlation: float) -> tuple[float, float]:
    """The 95 % interval of a percentile within one run.

    Its ends are order statistics (Hahn and Meeker, Statistical Intervals, 1991, section 5.2), farther apart for the
    dependence of successive requests. It says nothing of how other runs would differ.

    Args:
        answers: Response times of the correct answers, in nanoseconds.
        failed: Requests without a correct answer, slower than any of them.
        percent: From 0 to 100.
        correlation: See `lag_one_correlation`.

    Returns:
        Both ends in nanoseconds; NaN for one that lies beyond the requests that there are.
    """
    requests = answers.count + failed
    if not requests:
        return math.nan, math.nan
    share = percent / 100
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    half = z * requests * math.sqrt(share * (1 - share) / effective(requests, correlation))
    ranks = math.floor(requests * share - half), math.ceil(requests * share + half) + 1
    low, high = at_ranks(answers, failed, ranks)
    return low, high
