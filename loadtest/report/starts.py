"""From the start of a server to its first correct answer, taken in one way for all servers that are compared."""

import math

from loadtest.judge.intervals import MIN_ROUNDS, Estimate, geometric_estimate
from loadtest.report.reading import Document
from loadtest.setup.start_times import WarmStarts


def start_times(document: Document) -> dict[str, Estimate]:
    """Seconds to the first correct answer by server key, of those that are known.

    Where the setup has warm starts of two servers at least, these are told: the median with the range. Otherwise the
    starts of the rounds are: the mean with its interval. The two are never mixed, since they were not taken alike.
    Fewer than three starts have neither a range nor an interval.
    """
    warm = _warm_starts(document)
    if told_as_ranges(document):
        return {key: _median_and_range(one) for key, one in warm.items()}
    comparison = document.comparison
    starts = {row.key: row.first_prediction_s for row in comparison.summary}
    if len(comparison.wires) > 1:  # a server starts alike, whatever it is asked over afterwards
        starts = {
            key: geometric_estimate([one.first_prediction_s for found in comparison.over(key) for one in found.rounds])
            for key in comparison.server_names
        }
    return {key: start for key, start in starts.items() if start.known}


def told_as_ranges(document: Document) -> bool:
    """Whether `start_times` are those of the setup."""
    return len(_warm_starts(document)) > 1


def _warm_starts(document: Document) -> dict[str, WarmStarts]:
    servers = document.setup.servers if document.setup else {}
    found = {key: servers[key].timeline.warm for key in document.comparison.server_names if key in servers}
    return {key: warm for key, warm in found.items() if warm}


def _median_and_range(warm: WarmStarts) -> Estimate:
    if len(warm.runs) < MIN_ROUNDS:
        return Estimate(warm.median, math.nan, math.nan)
    return Estimate(warm.median, warm.low, warm.high)
