"""The inputs of a load test: many, all different, every number with all of its digits, with the answers to them.

A few golden examples are enough to show that answers are right, and too few to put a server under load: a cache would
answer most requests, and pixels in sixteenths are easier to parse than what a sensor or a scaler gives.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.workload import TensorSpec, Weights, Workload

MAX_BYTES = 64 * 1024 * 1024
"""Most memory that all inputs and answers together take."""

LOAD = 4_096
"""Inputs of ordinary runs, where the memory allows."""

FRESH_PER_LOAD = 3
"""How many inputs that no ordinary run sends there are for each that one does."""

NOISE = 0.01
"""Standard deviation of the noise, as a share of that of the held-out inputs."""

CHUNK = 256
"""Examples of one pass, whose intermediate results are large."""

FILES = {key: f"load/{key}.npy" for key in ("inputs", "outputs", "fresh_inputs", "fresh_outputs")}
"""Where an artifact keeps them: inputs and the answers to them, in turn."""

Answers = TypeVar("Answers", NDArray[np.float32], NDArray[np.float64])


@dataclass(frozen=True)
class LoadInputs:
    """Inputs with their answers.

    Attributes:
        inputs: What ordinary runs send, float32 (n, *input.shape).
        outputs: The answers of the reference, float64 (n, *output.shape).
        fresh_inputs: What no ordinary run sends, so that no server can have seen it; float32.
        fresh_outputs: The answers to them, float64.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float64]
    fresh_inputs: NDArray[np.float32]
    fresh_outputs: NDArray[np.float64]


def count(input_spec: TensorSpec, output_spec: TensorSpec) -> int:
    """How many inputs ordinary runs get: 4,096, or fewer where `MAX_BYTES` would not hold them and the fresh ones."""
    example = math.prod(input_spec.shape) * 4 + math.prod(output_spec.shape) * 8
    return max(1, min(LOAD, MAX_BYTES // ((1 + FRESH_PER_LOAD) * example)))


def make(workload: Workload, weights: Weights, held_out: NDArray[np.float32]) -> LoadInputs:
    """Derive them from the held-out examples, each with a noise of its own from the workload's seed.

    The noise is small enough to leave each input an example of its class. What it would carry beyond the range of the
    held-out inputs is reflected into it, so that numbers at its ends get their digits too.

    Args:
        workload: Gives the shapes, the seed and the reference.
        weights: What the reference computes with.
        held_out: Examples to start from, float32 (m, *input.shape).
    """
    here = count(workload.input, workload.output)
    total = here * (1 + FRESH_PER_LOAD)
    random = np.random.default_rng([workload.seed, total])
    low, high = float(held_out.min()), float(held_out.max())
    noise = random.standard_normal((total, *workload.input.shape)) * (NOISE * float(held_out.std()))
    inputs = _reflected(held_out[np.arange(total) % len(held_out)] + noise, low, high).astype(np.float32)
    outputs = in_chunks(lambda part: workload.reference(weights, part), inputs)
    return LoadInputs(inputs[:here], outputs[:here], inputs[here:], outputs[here:])


def _reflected(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    values = np.where(values < low, 2 * low - values, values)
    values = np.where(values > high, 2 * high - values, values)
    return np.clip(values, low, high)


def in_chunks(forward: Callable[[NDArray[np.float32]], Answers], inputs: NDArray[np.float32]) -> Answers:
    """The answers to all inputs, `CHUNK` of them in a pass."""
    return np.concatenate([forward(inputs[first : first + CHUNK]) for first in range(0, len(inputs), CHUNK)])
