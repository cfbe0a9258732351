"""The capacity with its interval, and the ratio of two capacities.

The unit is the search: each had a server of its own, so what differs from start to start is in the interval too. The
estimate is that of all probes together. Its interval comes from the jackknife (Tukey 1958; Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 11): the estimate is made again without each search in turn, which gives
every search a value of its own, and Student's t on the logarithms of these values gives the interval. Slow requests
come in bursts, so that a few searches may all have met none: they agree with each other and know little. Hence the
interval is never narrower than the likelihood of all probes.
"""

import math
from collections.abc import Sequence

import numpy as np

from loadtest.judge.capacity_result import Capacity, Probe
from loadtest.judge.intervals import MIN_ROUNDS, NOT_KNOWN, Estimate, student_t
from loadtest.judge.objective import Objective
from loadtest.judge.response_curve import fit

LEAST_DEVIATIONS = 2.0
"""Half of an interval is at least so many standard deviations of the likelihood."""


def estimate_capacity(probes: Sequence[Probe], objective: Objective, guess: float) -> tuple[Estimate, list[float]]:
    """The capacity that the probes of the searches show.

    Args:
        probes: Every probe; those that looked for the range of rates are left out.
        objective: What must be met.
        guess: About where the capacity is, requests per second.

    Returns:
        The estimate (without an interval where there are fewer than three searches), and each search's own value.
    """
    searched = [probe for probe in probes if probe.search]
    numbers = sorted({probe.search for probe in searched})
    count, curve = len(numbers), fit(searched, objective, guess)
    whole, spread = curve.capacity, curve.spread
    if count < 2:
        return Estimate(whole, math.nan, math.nan), [whole]
    without = [fit([one for one in searched if one.search != number], objective, whole) for number in numbers]
    logs = [count * math.log(whole) - (count - 1) * math.log(one.capacity) for one in without]
    each = [math.exp(log) for log in logs]
    if count < MIN_ROUNDS:
        return Estimate(whole, math.nan, math.nan), each
    half = max(student_t(count - 1) * math.sqrt(float(np.var(logs, ddof=1)) / count), LEAST_DEVIATIONS * spread)
    return Estimate(whole, whole * math.exp(-half), whole * math.exp(half)), each


def capacity_ratio(one: Capacity, two: Capacity) -> Estimate:
    """How many times the second capacity the first one is.

    Its interval is recovered from those of the two, on the logarithm (Donner and Zou, Closed-form confidence intervals
    for functions of the normal mean and standard deviation, Statistical Methods in Medical Research 21, 2012). Where
    one of them is zero or has no interval, the ratio is not known.
    """
    ours, theirs = one.estimate_rps, two.estimate_rps
    if not (ours.low > 0 and theirs.low > 0):
        return NOT_KNOWN
    ratio = ours.value / theirs.value
    below = math.hypot(math.log(ours.value / ours.low), math.log(theirs.high / theirs.value))
    above = math.hypot(math.log(ours.high / ours.value), math.log(theirs.value / theirs.low))
    return Estimate(ratio, ratio * math.exp(-below), ratio * math.exp(above))


def less_than(one: Capacity, two: Capacity) -> bool:
    """Whether the first capacity is known to be below the second one.

    The interval of their ratio decides. Where there is none, as of a capacity of zero, their own intervals must not
    meet.
    """
    ratio = capacity_ratio(one, two)
    return ratio.high < 1 if ratio.known else one.estimate_rps.high < two.estimate_rps.low
