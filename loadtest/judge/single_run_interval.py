"""Intervals of the percentiles of a single run, from its order statistics.

How many of n independent requests are faster than the true percentile is binomial, whatever the distribution; so two
order statistics bracket it with a known confidence (David and Nagaraja, Order Statistics, 2003, section 7.1). Since
successive response times depend on each other, the binomial is that of the number of independent requests they are
worth: by the rank correlation of successive ones, or by the autocorrelation of being faster than the percentile,
whichever is fewer. A run is one sitting with one server process: what differs between runs is not in its interval.
"""

import math

from loadtest.judge.dependence import autocorrelation_time, worth
from loadtest.judge.intervals import CONFIDENCE
from loadtest.judge.ranked import at_ranks, ranked_percentiles
from loadtest.load.histogram import Histogram
from loadtest.load.send_sample import FAILED, SentRequests


def percentile_interval(
    answers: Histogram, failed: int, percent: float, *, successive: SentRequests, correlation: float
) -> tuple[float, float]:
    """The 95 % interval of a percentile of the response time within one run.

    Args:
        answers: Response times of the correct answers, in nanoseconds.
        failed: Requests without a correct answer, slower than any of them.
        percent: From 0 to 100.
        successive: The requests in the order of their intended sends, or a sample of them.
        correlation: Of successive response times; NaN counts as none.

    Returns:
        Both ends in nanoseconds; NaN for one that lies beyond the requests that there are, infinite for one among
        those that failed.
    """
    count = answers.count + failed
    if not count:
        return math.nan, math.nan
    (middle,) = ranked_percentiles(answers, failed, [percent])
    answered = min(middle, FAILED / 2)  # where the percentile itself failed: the series of those that were answered
    trials = math.floor(min(worth(count, correlation), count / autocorrelation_time(successive, answered)))
    if trials < 1:
        return math.nan, math.nan
    low, high = binomial_ranks(trials, percent / 100)
    # The ranks are those among the independent requests: the same shares of all requests.
    ends = at_ranks(answers, failed, (math.floor(low / trials * count), math.ceil(high / trials * count)))
    return ends[0], ends[1]


def binomial_ranks(count: int, share: float) -> tuple[int, int]:
    """Ranks, from 1 on, of the two of ``count`` values that bracket this quantile with 95 % confidence.

    The lower one is 0, and the upper one more than ``count``, where no value is far enough out.
    """
    # Imported here, since it takes time that a command without intervals need not spend.
    from scipy.special import bdtrik

    tail = (1 - CONFIDENCE) / 2
    low, high = (math.ceil(float(bdtrik(p, count, share)) - 1e-9) for p in (tail, 1 - tail))
    return max(low, 0), high + 1
