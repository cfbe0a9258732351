"""The inputs of a load test: many, all different, every number with all of its digits, with the answers to them.

A few golden examples are enough to show that answers are right, and too few to put a server under load: a cache would
answer most requests, and pixels in sixteenths are easier to parse than what a sensor or a scaler gives.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples
from models.workload import Workload

MAX_BYTES = 80 * 1024 * 1024
"""Most memory that all inputs and answers together take."""

FRESH_PER_LOAD = 3
"""How many inputs that no ordinary run sends there are for each that one does."""

NOISE = 0.01
"""Standard deviation of the noise, as a share of that of the held-out inputs."""

ELEMENT_BYTES = 8
"""What an element of an answer takes, which is in double precision; text is reckoned with as much."""


def count(workload: Workload) -> int:
    """How many inputs ordinary runs get: fewer than the workload says where `MAX_BYTES` would not hold them all."""
    example = sum(math.prod(spec.longest) * ELEMENT_BYTES for spec in workload.outputs)
    for spec in workload.inputs:
        example += math.prod(spec.longest) * (np.dtype(spec.numpy_dtype).itemsize or ELEMENT_BYTES)
    return max(1, min(workload.load_inputs, MAX_BYTES // ((1 + FRESH_PER_LOAD) * example)))


def derived_from(held_out: int, made: range) -> NDArray[np.int64]:
    """The numbers of the held-out examples from which inputs are derived where a workload has no `vary` of its own.

    Args:
        held_out: How many held-out examples there are.
        made: The numbers of the inputs: those of ordinary runs come first, then those that no ordinary run sends.
    """
    return np.arange(made.start, made.stop) % held_out


def make(workload: Workload, held_out: Examples) -> tuple[Examples, Examples]:
    """Derive them from the held-out examples, by the workload's own `vary` or with a small noise.

    Returns:
        What ordinary runs send, and what no ordinary run sends, so that no server can have seen it.
    """
    here = count(workload)
    total = here * (1 + FRESH_PER_LOAD)
    random = np.random.default_rng([workload.seed, total])
    if workload.vary:
        made = workload.vary(random, held_out, total)
        workload.check(made)
    else:
        made = _with_noise(workload, random, held_out, total)
    return made.part(slice(here)), made.part(slice(here, total))


def _with_noise(workload: Workload, random: np.random.Generator, held_out: Examples, total: int) -> Examples:
    """Held-out examples, each with a noise of its own on every floating-point input.

    The noise is small enough to leave each input an example of its class. What it would carry beyond the range of the
    held-out inputs is reflected into it, so that numbers at its ends get their digits too.
    """
    made = held_out.part(derived_from(held_out.size, range(total)))
    inputs: dict[str, NDArray[Any]] = dict(made.inputs)
    for spec in workload.inputs:
        if spec.is_float:
            array = held_out.inputs[spec.name]
            noise = random.standard_normal((total, *array.shape[1:])) * (NOISE * float(array.std()))
            low, high = float(array.min()), float(array.max())
            inputs[spec.name] = _reflected(inputs[spec.name] + noise, low, high).astype(array.dtype)
    return Examples(inputs, made.labels, made.lengths)


def _reflected(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    values = np.where(values < low, 2 * low - values, values)
    values = np.where(values > high, 2 * high - values, values)
    return np.clip(values, low, high)
