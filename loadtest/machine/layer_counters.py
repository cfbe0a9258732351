"""What the processes of a server have spent so far: their CPU time, and what each counted of it by layer.

A process counts in a file of its own, ``PID.counters``, in a folder that it was told. The file begins with 4096 bytes
of JSON: ``layers``, the names of its layers, and ``pool``. Then come 64-bit integers of this machine: `pool` ids of
threads that belong to the layer that may compute on threads of its own (0 for none), then rows with the number of calls
and the nanoseconds of CPU time of each layer, a row for each thread that counts.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from loadtest.machine.process_tree import process_tree

HEADER = 4096


@dataclass(frozen=True)
class Spent:
    """What one process spent since its start.

    Attributes:
        cpu_s: CPU seconds, those of children that ended included.
        calls: Calls of each layer; empty where it has no counters.
        layers_s: CPU seconds of each layer on the threads that called it.
        pool_s: CPU seconds of the threads of the pool.
    """

    cpu_s: float
    calls: Mapping[str, int] = field(default_factory=dict)
    layers_s: Mapping[str, float] = field(default_factory=dict)
    pool_s: float = 0.0


def read_spent(pid: int, folder: Path) -> dict[int, Spent]:
    """Read every process of a tree, by process id.

    Args:
        pid: The topmost process.
        folder: Where they keep their counters.
    """
    found = {}
    for process in process_tree(pid):
        with contextlib.suppress(psutil.Error, OSError):
            times = process.cpu_times()
            cpu_s = times.user + times.system
            cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            found[process.pid] = _with_counters(process.pid, cpu_s, folder / f"{process.pid}.counters")
    return found


def _with_counters(pid: int, cpu_s: float, file: Path) -> Spent:
    if not file.exists():
        return Spent(cpu_s)
    content = file.read_bytes()
    header = json.loads(content[:HEADER])
    names, pool = header["layers"], header["pool"]
    cells = np.frombuffer(content, np.int64, offset=HEADER)
    calls, spent_ns = cells[pool:].reshape(-1, len(names), 2).sum(axis=0).T.tolist()
    return Spent(
        cpu_s,
        dict(zip(names, calls, strict=True)),
        {name: one / 1e9 for name, one in zip(names, spent_ns, strict=True)},
        sum(_thread_s(pid, thread) for thread in cells[:pool].tolist() if thread),
    )


def _thread_s(pid: int, thread: int) -> float:
    """CPU seconds of a thread, as its scheduler accounts them; none where it is gone, or where there is no /proc."""
    try:
        return int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
