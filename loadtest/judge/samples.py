"""How many requests a percentile needs before it may be quoted, and the bound that they certify.

The rule is that of MLPerf Inference (LoadGen's early stopping): if more than ``1 - p`` of all requests were slower than
x, then so few slower ones as were seen would be seen in one run of a hundred at most. So with 99 % confidence the
percentile is x at most. One slower request at least has to be seen, and set aside, for such a bound: p99 needs 662
requests and p99.9 needs 6,636. https://github.com/mlcommons/inference_policies, Appendix Early Stopping Criterion.

The bound is the limit that LoadGen's server scenario would just pass: t requests are slower, and t may be. For its
single-stream scenario LoadGen reports the next slower request, which is safe as well and not needed for the confidence.
"""

import functools
import math

CONFIDENCE = 0.99


def enough_samples(count: int, percent: float) -> bool:
    """Whether ``count`` requests are enough for this percentile."""
    return count >= needed(percent)


@functools.cache
def needed(percent: float) -> int:
    """The fewest requests of which a bound of this percentile can be certified.

    Args:
        percent: From 0 to 100; nothing certifies the maximum, so the requests that 100 needs are never enough.
    """
    beyond = 1 - percent / 100
    if beyond <= 0:
        return 1 << 62
    high = 2
    while not _certifies(high, beyond):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _certifies(middle, beyond) else (middle, high)
    return high


def requests_for(percent: float) -> int:
    """The requests that a run of Poisson arrivals must expect, so that hardly any has too few for this percentile.

    Args:
        percent: From 0 to 100.
    """
    # A Poisson count is below its mean by more than twice the root of it in 2 % of the runs.
    return math.ceil((1 + math.sqrt(1 + needed(percent))) ** 2)


def _certifies(count: int, beyond: float) -> bool:
    """Whether at most one of so many requests is slower so rarely, where a share of ``beyond`` is."""
    if beyond >= 1:
        return True
    rest = (count - 1) * math.log1p(-beyond)
    return math.exp(rest) * (1 - beyond + count * beyond) <= 1 - CONFIDENCE


def certified_rank(count: int, percent: float) -> int | None:
    """The rank of the request, counted from the fastest, that bounds a percentile at 99 % confidence.

    Args:
        count: Requests, failed ones included.
        percent: From 0 to 100.

    Returns:
        From 1 to ``count - 1``; None where the requests are too few.
    """
    if not enough_samples(count, percent):
        return None
    # Imported here, since it takes time that a command without results need not spend.
    from scipy.special import bdtr

    beyond = 1 - percent / 100
    low, high = 1, count  # so many slower ones are rare enough, and so many are not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bdtr(middle, count, beyond) <= 1 - CONFIDENCE else (low, middle)
    return count - low


def furthest(count: int) -> float:
    """The furthest percentile that so many requests are enough for; NaN where they are not enough for the median."""
    if not enough_samples(count, 50.0):
        return math.nan
    low, high = 1e-12, 0.5  # the share beyond it: too rare, and not
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _certifies(count, middle) else (middle, high)
    return 100 * (1 - high)
