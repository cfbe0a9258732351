"""Percentiles over all requests, in which a failed one is slower than any answer.

Over the answers alone a server that refuses requests quickly, once it has too many, would look fast.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtest.judge.samples import certified_rank, enough_samples
from loadtest.load.histogram import Histogram, rank_of


@dataclass(frozen=True)
class RoundTimes:
    """Response times of all requests of a round.

    Attributes:
        answers: Those of the correct answers, in nanoseconds.
        failed: Requests without a correct answer.
    """

    answers: Histogram
    failed: int = 0

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answers.count + self.failed

    def percentile_ms(self, percent: float) -> float:
        """A percentile over all requests, in milliseconds; see `ranked_percentiles`.

        It is NaN where the requests are too few for it.
        """
        return self.percentiles_ms([percent])[0]

    def certified_ms(self, percent: float) -> float:
        """What the true percentile does not exceed, with 99 % confidence; see `loadtest.judge.samples`.

        It is infinite where as many requests failed as the bound sets aside, and NaN where the requests are too few.
        """
        rank = certified_rank(self.requests, percent)
        if rank is None:
            return math.nan
        return at_ranks(self.answers, self.failed, [rank])[0] / 1e6

    def percentiles_ms(self, percents: Iterable[float]) -> list[float]:
        """Several of them in one pass."""
        wanted = list(percents)
        values = ranked_percentiles(self.answers, self.failed, wanted)
        return [
            value / 1e6 if enough_samples(self.requests, percent) else math.nan
            for value, percent in zip(values, wanted, strict=True)
        ]


def together(rounds: Sequence[RoundTimes]) -> RoundTimes:
    """All requests of several rounds."""
    whole = Histogram()
    for one in rounds:
        whole.merge(one.answers)
    return RoundTimes(whole, sum(one.failed for one in rounds))


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
    if not requests:
        return [math.nan for _ in percents]
    return at_ranks(answers, failed, [rank_of(percent, requests) for percent in percents])


def at_ranks(answers: Histogram, failed: int, ranks: Sequence[int]) -> list[float]:
    """Response times of the requests of these ranks, counted from the fastest.

    Args:
        answers: Response times of the correct answers, in nanoseconds.
        failed: Requests without a correct answer, which come last.
        ranks: Of requests, from 1; NaN is told for one that there is not.

    Returns:
        Nanoseconds; infinity of a failed request.
    """
    values = answers.at_ranks([min(max(rank, 1), max(answers.count, 1)) for rank in ranks])
    return [
        math.nan if not 1 <= rank <= answers.count + failed else math.inf if rank > answers.count else value
        for rank, value in zip(ranks, values, strict=True)
    ]
