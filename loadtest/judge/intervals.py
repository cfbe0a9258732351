"""Uncertainty from repeated rounds: bootstrap intervals of percentiles and of ratios between servers.

The unit that is resampled is the round and never the request: requests of one round share a server process, a cache
state and a minute of this machine, so they are no independent observations. The intervals are percentile bootstrap
intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), widened for the few rounds that
there are: those of three rounds would cover the true value 75 times in 100 and not 95.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from loadtest.judge.samples import enough_samples
from loadtest.load.histogram import Histogram
from loadtest.records import Number

RESAMPLES = 2_000
CONFIDENCE = 0.95
MIN_ROUNDS = 3
SEED = 20_240_229

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: Point estimate.
        low: Lower end of the 95 % interval; NaN where there are fewer than three rounds.
        high: Upper end.
    """

    value: Number
    low: Number
    high: Number

    @property
    def known(self) -> bool:
        """Whether there is a value at all."""
        return not math.isnan(self.value)


NOT_KNOWN = Estimate(math.nan, math.nan, math.nan)


def weights(rounds: int, resamples: int = RESAMPLES, stream: int = 0) -> Floats:
    """How often each round is drawn in each resample: shape (resamples, rounds), from a fixed seed."""
    random = np.random.default_rng([SEED, stream])
    return random.multinomial(rounds, np.full(rounds, 1 / rounds), size=resamples).astype(np.float64)


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Mean over rounds, with its interval.

    Args:
        values: One number per round; NaN for a round without one.
    """
    array = np.array([value for value in values if not math.isnan(value)])
    if array.size == 0:
        return NOT_KNOWN
    return _estimate(float(array.mean()), weights(array.size) @ array / array.size, array.size)


def percentile_estimate(rounds: Sequence[Histogram], percent: float) -> Estimate:
    """A percentile over all requests of all rounds, in milliseconds; the rounds are resampled.

    Args:
        rounds: Histogram of each round.
        percent: From 0 to 100.
    """
    if not rounds or not enough_samples(sum(histogram.count for histogram in rounds), percent):
        return NOT_KNOWN
    resampled = _percentiles_ms(rounds, percent, weights(len(rounds)))
    return _estimate(_percentiles_ms(rounds, percent, np.ones((1, len(rounds))))[0], resampled, len(rounds))


def mean_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Ratio of two means; the rounds of both sides are drawn together, since they ran side by side."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if not (math.isnan(a) or math.isnan(b))]
    if not pairs:
        return NOT_KNOWN
    a, b = np.array(pairs).T
    drawn = weights(len(pairs))
    return _estimate(float(a.sum() / b.sum()), (drawn @ a) / (drawn @ b), len(pairs))


def percentile_ratio(ours: Sequence[Histogram], theirs: Sequence[Histogram], percent: float) -> Estimate:
    """Ratio of a percentile of two servers, rounds drawn together."""
    count = min(len(ours), len(theirs))
    if not count or not _all_enough((ours[:count], theirs[:count]), percent):
        return NOT_KNOWN
    drawn, whole = weights(count), np.ones((1, count))

    def ratio(by: Floats) -> Floats:
        return _percentiles_ms(ours[:count], percent, by) / _percentiles_ms(theirs[:count], percent, by)

    return _estimate(float(ratio(whole)[0]), ratio(drawn), count)


def independent_mean_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Ratio of two means from different sittings: the rounds of each side are drawn on their own."""
    if not ours or not theirs:
        return NOT_KNOWN
    a, b = np.array(ours), np.array(theirs)
    drawn = (weights(a.size) @ a / a.size) / (weights(b.size, stream=1) @ b / b.size)
    return _estimate(float(a.mean() / b.mean()), drawn, min(a.size, b.size))


def independent_percentile_ratio(ours: Sequence[Histogram], theirs: Sequence[Histogram], percent: float) -> Estimate:
    """Ratio of a percentile from different sittings: the rounds of each side are drawn on their own."""
    if not _all_enough((ours, theirs), percent):
        return NOT_KNOWN
    one, two = (_percentiles_ms(side, percent, np.ones((1, len(side))))[0] for side in (ours, theirs))
    drawn = _percentiles_ms(ours, percent, weights(len(ours))) / _percentiles_ms(
        theirs, percent, weights(len(theirs), stream=1)
    )
    return _estimate(float(one / two), drawn, min(len(ours), len(theirs)))


def _all_enough(sides: Sequence[Sequence[Histogram]], percent: float) -> bool:
    return all(side and enough_samples(sum(histogram.count for histogram in side), percent) for side in sides)


def is_tie(ratio: Estimate) -> bool:
    """Whether a ratio's interval spans 1, or is not known."""
    return not (ratio.low > 1 or ratio.high < 1)


def _percentiles_ms(rounds: Sequence[Histogram], percent: float, by: Floats) -> Floats:
    """The percentile of the weighted union of the rounds, for each row of weights: shape (rows,)."""
    counts = np.stack([histogram.counts for histogram in rounds])
    used = np.nonzero(counts.sum(axis=0))[0]
    table = counts[:, used].astype(np.float64)
    edges = np.array(_edges(used), dtype=np.float64) / 1e6
    result = np.empty(len(by))
    for row, weight in enumerate(by):
        cumulated = np.cumsum(weight @ table)
        rank = max(math.ceil(percent / 100 * cumulated[-1] - 1e-6), 1)
        result[row] = edges[min(int(np.searchsorted(cumulated, rank)), len(edges) - 1)]
    return result


def _edges(used: npt.NDArray[np.intp]) -> list[int]:
    probe = Histogram()
    probe.counts[used] = 1
    return probe.nonzero()[0]


def _estimate(value: float, resampled: Floats, rounds: int) -> Estimate:
    if rounds < MIN_ROUNDS:
        return Estimate(value, math.nan, math.nan)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    wider = small_sample_factor(rounds)
    # Nothing that is estimated here can be below zero.
    return Estimate(value, max(value - wider * (value - float(low)), 0.0), value + wider * (float(high) - value))


def small_sample_factor(rounds: int) -> float:
    """How much wider an interval from so few rounds has to be.

    A resample varies less than a sample, by ``sqrt((n - 1) / n)``, and the spread itself is only estimated, for which
    Student's t stands in place of the normal quantile z (Hesterberg, What Teachers Should Know About the Bootstrap,
    2015).
    """
    # Imported here, since it takes time that a command without intervals need not spend.
    from scipy.special import stdtrit

    quantile = (1 + CONFIDENCE) / 2
    t, z = float(stdtrit(rounds - 1, quantile)), NormalDist().inv_cdf(quantile)
    return math.sqrt(rounds / (rounds - 1)) * t / z
