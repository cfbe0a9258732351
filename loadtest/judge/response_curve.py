"""The share of slow or failed requests as a function of the rate, and the rate at which it is what an objective allows.

Near the capacity the share follows ``logit(share) = logit(allowed) + steepness * (rate / capacity - 1)``. In M/M/1,
where P(T > t) = exp(-(mu - rate) t), that holds with a steepness of t times the capacity as long as the share is small;
for other servers it is a tangent, so a probe counts the less the farther it is from the capacity. Capacity and
steepness are estimated together from all probes, as psychophysics estimates a threshold and its slope (Kontsevich and
Tyler, Bayesian adaptive estimation of psychometric slope and threshold, Vision Research 39, 1999): the likelihood is
laid over a grid, and its mean is the estimate. Requests of one run are not independent, so it is the likelihood of a
binomial divided by its overdispersion, which is estimated too (Wedderburn, Quasi-likelihood functions, Biometrika 61,
1974). What it asks of the shares is that their mean is right, and nothing of their distribution. Which probes are near,
and the overdispersion, follow from the estimate, so it is made again until it settles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadtest.judge.capacity_result import Probe
from loadtest.judge.objective import Objective

Floats = npt.NDArray[np.float64]

BEYOND_TRIED = 1.5
"""The capacity is looked for up to this far above and below the rates that were tried."""

POINTS = 121
STEEPNESSES = np.geomspace(1.0, 300.0, 18)
"""The grid."""

STEEPNESS_OF_MM1 = 0.3
LEAST_TYPICAL = 8.0
STEEPNESS_SPREAD = 1.0
"""What steepness is likely before a probe is seen: about a third of that of M/M/1, log-normal; stalls make it less."""

NARROWEST, WIDEST = 0.05, 0.30
NEIGHBOURS = 6
"""A probe counts by a normal curve of its distance from the capacity; these bound the curve's width, as a share of the
capacity, and so many probes lie within it in any case."""

EXPECTED_DISPERSION, PRIOR_PROBES = 10.0, 2.0
LEAST_ALLOWED = 1e-6

PASSES, MOST_PASSES = 4, 24
SETTLED = 0.02
"""Passes in any case, and at most; the curve has settled where one more moves the capacity by less than this share."""


@dataclass(frozen=True)
class Curve:
    """What the probes say of the server.

    Attributes:
        capacity: Rate at which the share is what the objective allows, requests per second.
        steepness: Growth of the log-odds of a slow request per relative growth of the rate, at the capacity.
        spread: Standard deviation of the capacity's logarithm under the likelihood.
    """

    capacity: float
    steepness: float
    spread: float


def fit(probes: Sequence[Probe], objective: Objective, guess: float) -> Curve:
    """The curve through the probes; where failures break their own budget at a lower rate, that of the failures.

    Args:
        probes: At least one with a request.
        objective: What must be met.
        guess: About where the capacity is, requests per second.
    """
    probes = [probe for probe in probes if probe.requests]
    rates = np.array([probe.rate for probe in probes])
    counts = np.array([probe.requests for probe in probes], dtype=np.float64)
    slow = np.array([probe.slow for probe in probes], dtype=np.float64)
    failed = np.array([probe.failed_share for probe in probes]) * counts
    typical = max(STEEPNESS_OF_MM1 * objective.limit_ms / 1000 * guess, LEAST_TYPICAL)
    sides = [_Likelihood(rates, counts, slow, objective.slow_allowed, typical)]
    if failed.any():
        sides.append(_Likelihood(rates, counts, failed, max(objective.errors, LEAST_ALLOWED), typical))
    found, step, last = Curve(guess, 1.5 / WIDEST, math.inf), 1.0, 0.0
    for number in range(1, MOST_PASSES + 1):
        near = _nearness(rates, found)
        latest = min((side.mean(near) for side in sides), key=lambda curve: curve.capacity)
        move = math.log(latest.capacity / found.capacity)
        if number >= PASSES:
            if abs(move) < SETTLED:
                return latest
            for side in sides:
                side.look_everywhere()
        if number > PASSES and move * last < 0:
            # A probe through which the server hung counts in one pass and not in the next, without end. Steps that
            # shorten with each turn settle between the two (Kesten, Accelerated stochastic approximation, 1958).
            step /= 2
        found, last = _between(found, latest, step), move
    return found


def _between(one: Curve, other: Curve, share: float) -> Curve:
    """The curve that lies such a share of the way from the one to the other, on logarithms."""
    capacity = one.capacity * (other.capacity / one.capacity) ** share
    return Curve(capacity, one.steepness * (other.steepness / one.steepness) ** share, other.spread)


def _nearness(rates: Floats, curve: Curve) -> Floats:
    """How much each probe counts, from 0 to 1: within the width the log-odds grow by about 1.5."""
    away = np.abs(rates / curve.capacity - 1)
    nth = min(NEIGHBOURS, away.size) - 1
    width = max(min(max(1.5 / curve.steepness, NARROWEST), WIDEST), float(np.partition(away, nth)[nth]))
    near: Floats = np.exp(-((away / width) ** 2) / 2)
    return near


class _Likelihood:
    """The likelihood of capacity and steepness on a grid, which each pass lays more closely around the last mean."""

    def __init__(self, rates: Floats, counts: Floats, bad: Floats, allowed: float, typical: float) -> None:
        self._rates, self._counts, self._bad, self._allowed = rates, counts, bad, allowed
        self._prior = -((np.log(STEEPNESSES / typical) / STEEPNESS_SPREAD) ** 2) / 2
        self._lowest, self._highest = math.log(rates.min() / BEYOND_TRIED), math.log(rates.max() * BEYOND_TRIED)
        self._dispersion = EXPECTED_DISPERSION
        self.look_everywhere()

    def look_everywhere(self) -> None:
        """Lay the grid over all rates again."""
        self._middle, self._reach = (self._lowest + self._highest) / 2, (self._highest - self._lowest) / 2

    def mean(self, near: Floats) -> Curve:
        """The mean of the likelihood where each probe counts so much: shape (probes,)."""
        first = max(self._middle - self._reach, self._lowest)
        logs = np.linspace(first, min(self._middle + self._reach, self._highest), POINTS)
        odds = self._odds(np.exp(logs)[:, None], STEEPNESSES)  # probes x capacities x steepnesses
        bad, good = self._bad[:, None, None], (self._counts - self._bad)[:, None, None]
        # The logarithm of the share is -log(1 + exp(-odds)), that of the other requests' share -log(1 + exp(odds)).
        each = -bad * np.logaddexp(0, -odds) - good * np.logaddexp(0, odds)
        total = np.tensordot(near / self._dispersion, each, axes=1) + self._prior
        mass = np.exp(total - total.max())
        mass /= mass.sum()
        of_logs = mass.sum(axis=1)
        self._middle = float(of_logs @ logs)
        spread = math.sqrt(float(of_logs @ (logs - self._middle) ** 2))
        self._reach = max(5 * spread + 2 * (logs[1] - logs[0]), 0.03)
        found = Curve(math.exp(self._middle), math.exp(float(mass.sum(axis=0) @ np.log(STEEPNESSES))), spread)
        self._dispersion = self._dispersed(found, near)
        return found

    def _odds(self, capacity: float | Floats, steepness: float | Floats) -> Floats:
        rates = self._rates.reshape(-1, *[1] * np.broadcast(capacity, steepness).ndim)
        odds = math.log(self._allowed / (1 - self._allowed)) + steepness * (rates / capacity - 1)
        clipped: Floats = np.clip(odds, -30.0, 30.0)
        return clipped

    def _dispersed(self, curve: Curve, near: Floats) -> float:
        """Pearson's estimate of how much more the counts vary than those of independent requests would."""
        share = 1 / (1 + np.exp(-self._odds(curve.capacity, curve.steepness)))
        squares = near * (self._bad - self._counts * share) ** 2 / (self._counts * share * (1 - share))
        return max(
            (PRIOR_PROBES * EXPECTED_DISPERSION + float(squares.sum())) / (PRIOR_PROBES + float(near.sum())), 1.0
        )
