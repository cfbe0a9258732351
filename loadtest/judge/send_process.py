"""Whether the actual sends were the Poisson process that the schedule promised.

The gaps of a Poisson process are exponential. They are held against it by the test of Anderson and Darling (A Test of
Goodness of Fit, JASA 49, 1954), which weighs the smallest and the largest gaps: those that a client gets wrong that
sends in bunches. The distribution is fully known, so the critical value is that of Stephens' case 0 (EDF Statistics for
Goodness of Fit and Some Comparisons, JASA 69, 1974). Of many gaps the test sees deviations that matter to nobody, so
the largest distance of the distribution functions has to be considerable as well.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CRITICAL = 6.0
"""Exceeded by one right schedule in a thousand."""

DISTANCE = 0.05
"""Largest distance of the distribution functions that is passed over."""

FEWEST = 50
"""Gaps without which nothing is said."""


@dataclass(frozen=True)
class SendProcess:
    """How the gaps between actual sends compare with exponential ones.

    Attributes:
        gaps: How many were compared.
        statistic: Of Anderson and Darling.
        distance: Largest distance of the distribution functions (Kolmogorov), from 0 to 1.
    """

    gaps: int
    statistic: float
    distance: float

    @property
    def is_poisson(self) -> bool:
        """Whether they may be those of a Poisson process, for all that is seen and that matters."""
        return self.gaps < FEWEST or self.statistic <= CRITICAL or self.distance <= DISTANCE


def examine(gaps: Floats) -> SendProcess:
    """Compare gaps with exponential ones.

    Args:
        gaps: In units of their promised mean, any shape and order.
    """
    count = gaps.size
    if not count:
        return SendProcess(0, math.nan, math.nan)
    ordered = np.maximum(np.sort(gaps.ravel()), 1e-12)  # two sends in one reading of the clock are no gap of zero
    below = -np.expm1(-ordered)
    places = np.arange(1, count + 1)
    statistic = -count - float(((2 * places - 1) * (np.log(below) - ordered[::-1])).mean())
    distance = max(float((places / count - below).max()), float((below - (places - 1) / count).max()))
    return SendProcess(count, statistic, distance)
