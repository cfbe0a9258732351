"""The time of the forward pass alone, in this process: no server can be faster.

What a server takes beyond this goes into parsing, queueing, batching and serialising. The forms are those that the
servers load, and the same number of threads is used.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import example_files, read_back
from models.artifact_manifest import Manifest
from models.examples import Forward
from models.tensors import Tensors

SECONDS = 1.5
WARMUP_CALLS = 50
WARMUP_S = 10.0
PATIENCE_S = 60.0
"""No further turn over the inputs is begun after so long, though there was but one."""
INPUTS = 16
"""Inputs that take turns; where their lengths differ they are as short and as long as those of the load."""


@dataclass(frozen=True)
class ForwardTiming:
    """Time of one forward pass, from a NumPy array to a NumPy array.

    Attributes:
        runtime: ``torch`` or ``tensorflow``.
        batch: Instances in a pass.
        calls: Passes that were timed.
        p50_ms: Median, in milliseconds.
        p99_ms: 99th percentile.
        mean_ms: Mean over the inputs of the median of each one: what a pass takes on average where lengths differ.
    """

    runtime: str
    batch: int
    calls: int
    p50_ms: float
    p99_ms: float
    mean_ms: float


def measure(folder: Path, manifest: Manifest, *, batch: int, threads: int) -> list[ForwardTiming]:
    """Time the forward pass of both frameworks, one after the other.

    Args:
        folder: The artifact.
        manifest: Its manifest.
        batch: Instances in a pass.
        threads: Threads that a framework may compute with.
    """
    import torch

    tf = read_back.cpu_tensorflow()

    torch.set_num_threads(threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    inputs = taking_turns(folder, manifest, batch)
    version = folder / "saved_model" / str(manifest.version)
    loads: dict[str, Callable[[], Forward]] = {
        "torch": lambda: read_back.torch_form(folder / "torch"),
        "tensorflow": lambda: read_back.saved_model(version, manifest.inputs, manifest.outputs),
    }
    timings = []
    for runtime, load in loads.items():
        timings.append(time_passes(runtime, load(), inputs, batch))
    return timings


def taking_turns(folder: Path, manifest: Manifest, batch: int) -> list[Tensors]:
    """`INPUTS` of the inputs for load tests, from the shortest to the longest, each `batch` times."""
    examples, _ = example_files.read(folder, manifest.load)
    by_length = np.arange(examples.size) if examples.lengths is None else np.argsort(examples.lengths, kind="stable")
    # From the middle of each of so many equal parts.
    rows = by_length[((np.arange(INPUTS) + 0.5) * examples.size / INPUTS).astype(np.int64)]
    return [examples.repeated(int(row), manifest.inputs, batch) for row in rows]


def time_passes(runtime: str, forward: Forward, inputs: Sequence[Tensors], batch: int) -> ForwardTiming:
    """Time a forward pass that is loaded, after a warm-up, over inputs that take turns."""
    _warm_up(forward, inputs)
    times = _times(forward, inputs)
    every = sorted(itertools.chain(*times))
    mean = statistics.fmean(statistics.median(of_one) for of_one in times)
    p99 = statistics.quantiles(every, n=100)[98]
    return ForwardTiming(runtime, batch, len(every), statistics.median(every), p99, mean)


def _warm_up(forward: Forward, inputs: Sequence[Tensors]) -> None:
    """`WARMUP_CALLS`, or as many as `WARMUP_S` holds; each shape once in any case, for some forms compile for each."""
    shapes = {tuple(array.shape for array in one.values()): one for one in inputs}
    for one in shapes.values():
        forward(one)
    end = time.perf_counter() + WARMUP_S
    for one, _ in zip(itertools.cycle(inputs), range(WARMUP_CALLS - len(shapes)), strict=False):
        if time.perf_counter() > end:
            break
        forward(one)


def _times(forward: Forward, inputs: Sequence[Tensors]) -> list[list[float]]:
    """The times of each input's passes in milliseconds, every input twice at least where that takes no minute."""
    times: list[list[float]] = [[] for _ in inputs]
    begun = time.perf_counter()
    while (taken_s := time.perf_counter() - begun) < SECONDS or (len(times[-1]) < 2 and taken_s < PATIENCE_S):
        for one, taken in zip(inputs, times, strict=True):
            start = time.perf_counter_ns()
            forward(one)
            taken.append((time.perf_counter_ns() - start) / 1e6)
    return times
