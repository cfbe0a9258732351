"""The time of the forward pass alone, in this process: no server can be faster.

What a server takes beyond this goes into parsing, queueing, batching and serialising. The forms are those that the
servers load, and the same number of threads is used.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import example_files, read_back
from models.artifact_manifest import Manifest
from models.examples import Forward

SECONDS = 1.0
WARMUP_CALLS = 50


@dataclass(frozen=True)
class ForwardTiming:
    """Time of one forward pass, from a NumPy array to a NumPy array.

    Attributes:
        runtime: ``torch`` or ``tensorflow``.
        batch: Instances in a pass.
        calls: Passes that were timed.
        p50_ms: Median, in milliseconds.
        p99_ms: 99th percentile.
    """

    runtime: str
    batch: int
    calls: int
    p50_ms: float
    p99_ms: float


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
    golden, _ = example_files.read(folder, manifest.golden)
    # One length for all of them, that in the middle.
    order = np.arange(golden.size) if golden.lengths is None else np.argsort(golden.lengths)
    inputs = golden.repeated(int(order[golden.size // 2]), manifest.inputs, batch)
    version = folder / "saved_model" / str(manifest.version)
    loads: dict[str, Callable[[], Forward]] = {
        "torch": lambda: read_back.torch_form(folder / "torch"),
        "tensorflow": lambda: read_back.saved_model(version, manifest.inputs, manifest.outputs),
    }
    timings = []
    for runtime, load in loads.items():
        forward = load()
        for _ in range(WARMUP_CALLS):
            forward(inputs)
        times = []
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            start = time.perf_counter_ns()
            forward(inputs)
            times.append((time.perf_counter_ns() - start) / 1e6)
        p99 = statistics.quantiles(times, n=100)[98]
        timings.append(ForwardTiming(runtime, batch, len(times), statistics.median(times), p99))
    return timings
