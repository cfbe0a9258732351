"""How many samples a percentile needs before it may be quoted."""

SAMPLES_BEYOND = 10
"""A percentile is quoted only where at least this many samples lie beyond it."""


def enough_samples(count: int, percent: float) -> bool:
    """Whether ``count`` samples are enough for this percentile."""
    return count * (100 - percent) / 100 >= SAMPLES_BEYOND - 1e-9
