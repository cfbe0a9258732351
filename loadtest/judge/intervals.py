"""Uncertainty from repeated rounds: intervals of means, of percentiles and of ratios between servers.

The unit is the round and never the request: requests of one round share a server process, a cache state and a minute of
this machine, so they are no independent observations (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time,
ISMM 2013). Each round gives one value, and the interval is Student's t over the rounds, on the logarithms of the
values: percentiles and ratios are skewed to the right, and the ratio of two geometric means is the geometric mean of
the ratios (Fleming and Wallace, How Not to Lie With Statistics, CACM 29, 1986). What adds up, as the parts of a mean
response time do, has the interval of the values themselves. ``benchmarks/interval_coverage.md`` shows how often such
intervals hold the truth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadtest.judge.ranked import RoundTimes
from loadtest.records import Number

CONFIDENCE = 0.95
MIN_ROUNDS = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: Point estimate; infinite where a round's percentile is.
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

    def scaled(self, factor: float) -> "Estimate":
        """The estimate in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


NOT_KNOWN = Estimate(math.nan, math.nan, math.nan)


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Arithmetic mean over rounds, with its interval, of what adds up; nothing that is estimated here is below zero.

    Args:
        values: One number per round; NaN for a round without one. Where one is infinite, so is the estimate.
    """
    array = _known(values)
    if array.size == 0:
        return NOT_KNOWN
    if np.isinf(array).any():
        return _infinite(array)
    middle, half = float(array.mean()), _half_width(array)
    return Estimate(middle, math.nan if math.isnan(half) else max(middle - half, 0.0), middle + half)


def geometric_estimate(values: Sequence[float]) -> Estimate:
    """Geometric mean over rounds, with the interval of the mean logarithm.

    Args:
        values: One number per round, not below zero; NaN for a round without one. Where one is infinite, so is the
            estimate: it holds at any value above the finite ones.
    """
    array = _known(values)
    if array.size == 0:
        return NOT_KNOWN
    if np.isinf(array).any():
        return _infinite(array)
    if (array <= 0).any():  # zero has no logarithm
        return mean_estimate(values)
    return _of_logarithms(np.log(array))


def percentile_estimate(rounds: Sequence[RoundTimes], percent: float) -> Estimate:
    """A percentile of the response time of a round, in milliseconds.

    Args:
        rounds: Response times of each round; one with too few requests for the percentile is left out.
        percent: From 0 to 100.
    """
    return geometric_estimate([one.percentile_ms(percent) for one in rounds])


def paired_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate:
    """Ratio of two servers' values: they ran side by side, so each round gives one ratio.

    Args:
        ours: Value by number of the round; NaN for a round without one.
        theirs: Likewise; rounds that only one side has are left out.
    """
    shared = [number for number in ours if number in theirs]
    failing = [any(math.isinf(side[number]) for number in shared) for side in (ours, theirs)]
    if any(failing):
        return _behind(*failing)
    return geometric_estimate([_ratio(ours[number], theirs[number]) for number in shared])


def percentile_ratio(ours: Mapping[int, RoundTimes], theirs: Mapping[int, RoundTimes], percent: float) -> Estimate:
    """Ratio of a percentile of two servers that ran side by side."""
    one, two = ({number: times.percentile_ms(percent) for number, times in side.items()} for side in (ours, theirs))
    return paired_ratio(one, two)


def independent_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Ratio of two geometric means from different sittings: Welch's t, since the two sides may vary differently."""
    a, b = _known(ours), _known(theirs)
    if not (a.size and b.size):
        return NOT_KNOWN
    failing = [bool(np.isinf(side).any()) for side in (a, b)]
    if any(failing):
        return _behind(*failing)
    if (a <= 0).any() or (b <= 0).any():
        return NOT_KNOWN
    logs = np.log(a), np.log(b)
    difference = float(logs[0].mean() - logs[1].mean())
    if min(a.size, b.size) < MIN_ROUNDS:
        return Estimate(math.exp(difference), math.nan, math.nan)
    parts = [float(side.var(ddof=1)) / side.size for side in logs]
    if not sum(parts):
        return Estimate(*[math.exp(difference)] * 3)
    freedom = sum(parts) ** 2 / sum(part**2 / (side.size - 1) for part, side in zip(parts, logs, strict=True))
    half = student_t(freedom) * math.sqrt(sum(parts))
    return Estimate(math.exp(difference), math.exp(difference - half), math.exp(difference + half))


def independent_percentile_ratio(ours: Sequence[RoundTimes], theirs: Sequence[RoundTimes], percent: float) -> Estimate:
    """Ratio of a percentile from different sittings."""
    one, two = ([times.percentile_ms(percent) for times in side] for side in (ours, theirs))
    return independent_ratio(one, two)


def is_tie(ratio: Estimate) -> bool:
    """Whether a ratio's interval spans 1, or is not known."""
    return not (ratio.low > 1 or ratio.high < 1)


def _known(values: Sequence[float]) -> Floats:
    return np.array([value for value in values if not math.isnan(value)], dtype=np.float64)


def _behind(ours: bool, theirs: bool) -> Estimate:
    """The ratio where one side, or both, failed too many requests: that side is behind, by no number."""
    return NOT_KNOWN if ours and theirs else Estimate(*[math.inf if ours else 0.0] * 3)


def _infinite(values: Floats) -> Estimate:
    """Of values of which one is infinite at least."""
    if values.size < MIN_ROUNDS:
        return Estimate(math.inf, math.nan, math.nan)
    return Estimate(math.inf, float(values.min()), math.inf)


def _ratio(one: float, two: float) -> float:
    return one / two if two else math.nan


def _of_logarithms(logs: Floats) -> Estimate:
    middle, half = float(logs.mean()), _half_width(logs)
    return Estimate(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def _half_width(values: Floats) -> float:
    """Of Student's interval of the mean; NaN of fewer than three values."""
    if values.size < MIN_ROUNDS:
        return math.nan
    return student_t(values.size - 1) * float(values.std(ddof=1)) / math.sqrt(values.size)


def student_t(freedom: float, share: float = (1 + CONFIDENCE) / 2) -> float:
    """A quantile of Student's t, by default the one for the confidence of the intervals."""
    # Imported here, since it takes time that a command without intervals need not spend.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))
