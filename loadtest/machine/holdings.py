"""What a server holds at a moment, of which it should not hold more and more: memory, descriptors, threads, processes.

A leak is looked for in the memory that no file backs. Pages of programs and libraries are shared with whatever else
maps them on this machine, so that a server's part of them changes when another program starts or ends.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtest.machine.process_tree import open_descriptors, process_tree, tree_usage
from loadtest.machine.usage import MIB, Usage
from loadtest.records import Number

KIB = 1024


@dataclass(frozen=True)
class Holdings:
    """What the processes of a server hold together.

    Attributes:
        resident_mib: All memory. Local: proportional set size, so that a shared page counts once. Containers: as in
            `Usage`.
        own_mib: The part of it that no file backs, pages in swap included: heap, stacks, shared memory. A page that
            processes share counts once. NaN where it is not told apart.
        descriptors: Open files, connections and pipes; None where they cannot be counted.
        threads: Number of threads.
        processes: Number of processes.
    """

    resident_mib: Number
    own_mib: Number
    descriptors: int | None
    threads: int
    processes: int

    @classmethod
    def of_usage(cls, usage: Usage, own_mib: float, descriptors: int | None) -> "Holdings":
        """From what is known of a server's usage."""
        return cls(usage.resident_mib, own_mib, descriptors, usage.threads, usage.processes)


def tree_holdings(pid: int) -> Holdings:
    """What a process and its descendants hold; nothing where it is gone.

    Args:
        pid: The topmost process.
    """
    own = 0.0
    for process in process_tree(pid):
        with contextlib.suppress(psutil.Error, OSError):  # it may end while it is read
            own += _own(process)
    return Holdings.of_usage(tree_usage(pid), own / MIB, open_descriptors(pid))


def descriptors_of(pids: Sequence[int]) -> int | None:
    """Open descriptors of processes, which may be another user's; None where the kernel does not tell."""
    count = 0
    for pid in pids:
        try:
            count += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except FileNotFoundError:  # it has ended
            continue
        except OSError:
            return None
    return count


def _own(process: psutil.Process) -> float:
    """Memory without a file behind it, in bytes, by smaps_rollup of proc(5)."""
    sizes = {}
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        for line in text.splitlines()[1:]:
            name, _, rest = line.partition(":")
            sizes[name] = float(rest.split()[0]) * KIB
    if "Pss_Anon" in sizes:
        return sizes["Pss_Anon"] + sizes["Pss_Shmem"] + sizes.get("SwapPss", 0.0)
    return float(process.memory_full_info().uss)  # before Linux 5.4, and macOS
