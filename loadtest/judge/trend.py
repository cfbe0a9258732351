"""Whether a quantity that was sampled at even intervals grows: its slope, with an interval that holds for such series.

Successive samples of memory or of a percentile resemble each other, so that the usual interval of a least-squares slope
is too narrow. Here the noise is estimated from what is left of the series beside a straight line: from its shares in
the `WAVES` slowest waves that are orthogonal to that line. Slow noise is what a trend can be mistaken for, and the
slope over its standard error then follows Student's t with as many degrees of freedom as there are waves (Sun, Robust
trend inference with series variance estimator and testing-optimal smoothing parameter, Journal of Econometrics 164,
2011, 345-366; Lazarus, Lewis, Stock and Watson, HAR inference: recommendations for practice, JBES 36, 2018, 541-559).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from loadtest.judge.intervals import NOT_KNOWN, Estimate, student_t
from loadtest.records import Count, Number

WAVES = 6
"""Fewer hold for series that depend on themselves for longer; more make for shorter intervals."""

LEAST_SAMPLES = 24
POWER = 0.8

Told = Literal["grows", "shrinks", "none", "settled", "unknown"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trend:
    """How a quantity changed over the time in which it was sampled.

    Attributes:
        samples: How many values are known.
        mean: Their mean.
        per_hour: Slope, in units of the quantity per hour.
        per_million: The same per million requests.
        late_per_hour: That of the later half alone, per hour.
        smallest_per_hour: The slope that would have been told from zero in four of five such series.
        told: ``grows`` or ``shrinks`` where the interval of the slope excludes zero and the slope makes at least the
            smallest step of the quantity in that time; ``settled`` where it grew, and its later half alone shows no
            growth and excludes that of the whole; ``none`` where no change can be told; ``unknown`` of fewer than
            `LEAST_SAMPLES` values.
    """

    samples: Count
    mean: Number
    per_hour: Estimate
    per_million: Estimate
    late_per_hour: Estimate
    smallest_per_hour: Number
    told: Told


def trend(hours: Sequence[float], millions: Sequence[float], values: Sequence[float], grain: float = 0.0) -> Trend:
    """The trend of a series.

    Args:
        hours: When each value was sampled, ascending and about evenly spaced.
        millions: Million requests that had been answered then.
        values: The quantity; NaN where it is not known.
        grain: The smallest step of the quantity, such as 1 of a count: a slope below a step in the whole time is not
            told from zero, however little the series varies.
    """
    known = ~np.isnan(np.asarray(values, dtype=np.float64))
    time, requests, series = (np.asarray(one, dtype=np.float64)[known] for one in (hours, millions, values))
    if series.size < LEAST_SAMPLES:
        mean = float(series.mean()) if series.size else math.nan
        return Trend(series.size, mean, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, math.nan, "unknown")
    per_hour, error = _slope(time, series)
    half = slice(series.size // 2, None)
    late = _slope(time[half], series[half])[0]
    least = grain / float(np.ptp(time))
    return Trend(
        samples=series.size,
        mean=float(series.mean()),
        per_hour=per_hour,
        per_million=_slope(requests, series)[0],
        late_per_hour=late,
        smallest_per_hour=max((student_t(WAVES) + student_t(WAVES, POWER)) * error, least),
        told=_told(per_hour, late, least),
    )


def ratio_of_thirds(values: Sequence[float]) -> Estimate:
    """Geometric mean of the last third of a series over that of the first.

    Args:
        values: Above zero; others, and NaN, are left out.
    """
    series = np.asarray(values, dtype=np.float64)
    logs = np.log(series[series > 0])
    if logs.size < LEAST_SAMPLES:
        return NOT_KNOWN
    third = logs.size // 3
    direction = np.zeros(logs.size)
    direction[:third], direction[-third:] = -1 / third, 1 / third
    change, error = _along(direction, [np.linspace(-1.0, 1.0, logs.size), direction], logs)
    half = student_t(WAVES) * error
    return Estimate(math.exp(change), math.exp(change - half), math.exp(change + half))


def _told(whole: Estimate, late: Estimate, least: float) -> Told:
    if abs(whole.value) < least:
        return "none"
    if whole.high < 0:
        return "shrinks"
    if not whole.low > 0:
        return "none"
    return "settled" if late.low <= 0 and late.high < whole.value else "grows"


def _slope(at: Floats, series: Floats) -> tuple[Estimate, float]:
    """Least-squares slope with its interval, and its standard error."""
    if not np.ptp(series):
        return Estimate(0.0, 0.0, 0.0), 0.0
    centred = at - at.mean()
    spread = float(centred @ centred)
    if not spread:
        return NOT_KNOWN, math.nan
    slope, error = _along(centred / spread, [centred], series)
    half = student_t(WAVES) * error
    return Estimate(slope, slope - half, slope + half), error


def _along(direction: Floats, changes: Sequence[Floats], series: Floats) -> tuple[float, float]:
    """The sum of a series along a direction, and the standard error of that sum.

    Args:
        direction: Weights whose sum is 0, of shape (samples,).
        changes: What is no noise, each of shape (samples,): the direction, and a straight line.
        series: The values, of shape (samples,).

    Returns:
        The sum; and its error by the mean square of the series along the slowest waves beside those changes.
    """
    size, known = series.size, 1 + len(changes)
    places = np.pi * (np.arange(size) + 0.5) / size
    waves = [np.cos(number * places) for number in range(1, WAVES + 1)]
    basis, _ = np.linalg.qr(np.column_stack([np.ones(size), *changes, *waves]))
    noise = basis[:, known:].T @ (series - series.mean())
    return float(direction @ series), math.sqrt(float(noise @ noise) / WAVES * float(direction @ direction))
