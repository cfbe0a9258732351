"""How many digits of a number are told: as many as its interval supports."""

import math

from loadtest.judge.intervals import Estimate
from loadtest.report.reading import FAILED

WITHOUT_INTERVAL = 2
"""Significant digits of a number whose interval is not known."""

MOST = 3
"""Significant digits at most, however narrow the interval."""


def supported(estimate: Estimate) -> str:
    """The value, rounded to the place of the first digit of half of its interval: 2.34 [1.89 to 3.13] is 2.3.

    An infinite percentile is told as ``failed``.

    Args:
        estimate: A value that is known.
    """
    return FAILED if estimate.value == math.inf else _rounded(estimate.value, _last_place(estimate))


def times(ratio: Estimate) -> str:
    """A ratio as ``1.7 times``; one that is not 1 is told with so many digits that it does not read as 1.

    Args:
        ratio: A value that is known.
    """
    place = _last_place(ratio)
    while round(ratio.value, -place) == 1 and abs(ratio.value - 1) > 10.0 ** (place - MOST):
        place -= 1
    return f"{_rounded(ratio.value, place)} times"


def _last_place(estimate: Estimate) -> int:
    """The power of ten of the last digit that is told."""
    value = estimate.value
    half = (estimate.high - estimate.low) / 2
    place = _place(value) - MOST + 1
    if math.isnan(half):
        place = _place(value) - WITHOUT_INTERVAL + 1
    elif half > 0:
        # At least one digit is told, also of a value that its interval hardly knows.
        place = max(place, min(_place(half), _place(value)))
    return place


def _rounded(value: float, place: int) -> str:
    return f"{round(value, -place):,.{max(-place, 0)}f}"


def _place(value: float) -> int:
    """The power of ten of the first digit; of zero that of the ones."""
    return math.floor(math.log10(abs(value))) if value else 0
