"""When a server is steady: its throughput and its median response time go on as they are.

Georges, Buytaert and Eeckhout (Statistically Rigorous Java Performance Evaluation, OOPSLA 2007) take a program as warm
when the last few measurements vary little; here the measurements are equal stretches of the time line.
"""

import itertools
import math
from collections.abc import Sequence

from loadtest.load.recorder import Window

TOLERANCE = 0.10
"""What may differ, as a share of the mean."""

STRETCHES = 3
"""So many stretches at the end of a run have to agree."""

WARM_S = 2.0
"""A warm-up looks at its latest half, and at two seconds at least."""

WARM_STRETCHES = 8
WARM_ANSWERS = 64
"""It looks at so many stretches, which have to hold so many answers: a slow server needs longer."""


def is_warm(windows: Sequence[Window]) -> bool:
    """Whether a warm-up may end: neither throughput nor the median response time has a trend any more.

    The latest part of the time line is cut into eight stretches, through whose values a straight line is drawn by least
    squares. Along it they change by 10 % of their mean at most, and the standard error of that change is 10 % at most:
    values that scatter more do not show yet that there is no trend.

    Args:
        windows: The time line so far; only windows that are over, all of the same length.
    """
    if not windows:
        return False
    length_s = windows[-1].end_s / len(windows)
    looked_at = max(WARM_STRETCHES, math.ceil(WARM_S / length_s - 1e-6), len(windows) // 2)
    latest = windows[-looked_at:]
    if len(windows) < looked_at or sum(window.ok for window in latest) < WARM_ANSWERS:
        return False
    edges = [round(part * looked_at / WARM_STRETCHES) for part in range(WARM_STRETCHES + 1)]
    rates, medians = _stretches(latest, edges)
    return _level(rates) and _level(medians)


def _level(values: Sequence[float]) -> bool:
    """Whether they neither rise nor fall; not where one of them is not known."""
    middle, count = mean(values), len(values)
    if not middle > 0:
        return False
    places = [place - (count - 1) / 2 for place in range(count)]
    spread = sum(place * place for place in places)
    slope = sum(place * value for place, value in zip(places, values, strict=True)) / spread
    residual = sum((v - middle - slope * place) ** 2 for place, v in zip(places, values, strict=True)) / (count - 2)
    change, error = ((count - 1) * one / middle for one in (slope, math.sqrt(residual / spread)))
    return abs(change) <= TOLERANCE and error <= TOLERANCE


def steady_from(windows: Sequence[Window]) -> float | None:
    """Find when a run became steady.

    The run is cut into up to ten stretches of equal length. It is steady from the first stretch on after which every
    stretch's throughput, and the mean of its median response times, lie within 10 % of the mean of the remaining ones;
    where a stretch holds few requests, within four standard errors of a count (``4 / sqrt(n)``).

    Args:
        windows: Time line of the run.

    Returns:
        Seconds from the start of the run, or None where fewer than three stretches at the end agree.
    """
    full = windows[:-1] if len(windows) > 1 else windows
    parts = min(10, len(full))
    if parts < STRETCHES:
        return None
    edges = [round(part * len(full) / parts) for part in range(parts + 1)]
    first = _from(full, edges)
    if first is None:
        return None
    return 0.0 if first == 0 else full[edges[first] - 1].end_s


def _from(windows: Sequence[Window], edges: Sequence[int]) -> int | None:
    """The first stretch from which on all agree."""
    rates, medians = _stretches(windows, edges)
    counts = [sum(w.ok for w in windows[a:b]) for a, b in itertools.pairwise(edges)]
    for first in range(len(rates) - STRETCHES + 1):
        tolerance = max(TOLERANCE, 4 / math.sqrt(max(mean(counts[first:]), 1)))
        if _agree(medians[first:], tolerance) and _agree(rates[first:], tolerance):
            return first
    return None


def _stretches(windows: Sequence[Window], edges: Sequence[int]) -> tuple[list[float], list[float]]:
    """Throughput and median response time of each stretch between two edges."""
    stretches = [windows[a:b] for a, b in itertools.pairwise(edges)]
    rates = [mean([w.ok for w in stretch]) for stretch in stretches]
    return rates, [mean([w.p50_ms for w in stretch if not math.isnan(w.p50_ms)]) for stretch in stretches]


def mean(values: Sequence[float]) -> float:
    """Their arithmetic mean; NaN of none."""
    return sum(values) / len(values) if values else math.nan


def _agree(values: Sequence[float], tolerance: float) -> bool:
    middle = mean(values)
    return all(abs(value - middle) <= tolerance * middle for value in values)
