"""What a process tree used: CPU seconds and memory, read from the kernel's own books, without sampling under load."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtest.records import Number

MIB = 1024 * 1024


@dataclass(frozen=True)
class Usage:
    """Resources of a server, all of its processes together.

    Attributes:
        cpu_s: CPU seconds (user and system) since the start, finished children included.
        peak_mib: Local: the sum of each process's own peak resident set, an upper bound, since pages that processes
            share count once each. Containers: the peak of the cgroup.
        resident_mib: Memory now. Local: proportional set size, shared pages divided among their users.
        processes: Number of processes.
        threads: Number of threads.
    """

    cpu_s: Number
    peak_mib: Number
    resident_mib: Number
    processes: int
    threads: int


def tree_usage(pid: int) -> Usage:
    """Read the usage of a process and its descendants.

    Args:
        pid: The topmost process; where it is gone, everything is zero.
    """
    cpu_s = peak = resident = 0.0
    processes = threads = 0
    for process in _tree(pid):
        # A process that ends while it is read has its CPU time booked to its parent.
        with contextlib.suppress(psutil.Error, OSError):
            times = process.cpu_times()
            cpu_s += times.user + times.system
            cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            peak += _peak(process)
            resident += _resident(process)
            threads += process.num_threads()
            processes += 1
    return Usage(cpu_s, peak / MIB, resident / MIB, processes, threads)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def _peak(process: psutil.Process) -> float:
    """High-water mark of the resident set in bytes (VmHWM of proc(5)); the present one where there is no /proc."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return float(process.memory_info().rss)
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024
    return 0.0


def _resident(process: psutil.Process) -> float:
    try:
        full = process.memory_full_info()
        return float(getattr(full, "pss", 0) or full.uss)
    except psutil.AccessDenied:
        return float(process.memory_info().rss)
