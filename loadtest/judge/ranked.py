"""Percentiles over all requests, in which a failed one is slower than any answer.

Over the answers alone a server that refuses requests quickly, once it has too many, would look fast.
"""

import math
from collections.abc import Iterable

from loadtest.load.histogram import Histogram


def ranked_percentiles(answers: Histogram, failed: int, percents: Iterable[float]) -> list[float]:
    """Percentiles of the response time over all requests.

    Args:
        answers: Response times of the correct answers, in nanoseconds.
        failed: Requests without a correct answer.
        percents: From 0 to 100.

    Returns:
        Nanoseconds; infinity where the rank falls among the failed requests, NaN where there was none at all.
    """
    requests = answers.count + failed
    wanted = list(percents)
    ranks = [max(math.ceil(percent / 100 * requests - 1e-6), 1) for percent in wanted]
    among = [100 * min(rank / max(answers.count, 1), 1.0) for rank in ranks]
    values = answers.percentiles(among)
    return [
        math.nan if not requests else math.inf if rank > answers.count else value
        for rank, value in zip(ranks, values, strict=True)
    ]
