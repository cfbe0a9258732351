"""A process with all of its descendants: which processes they are, what they use, and how they are killed.

CPU time and memory come from the kernel's own counters, so nothing is sampled while a load runs.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import psutil

from loadtest.machine.usage import MIB, Usage


def process_tree(pid: int) -> list[psutil.Process]:
    """List a process and its descendants.

    Returns:
        The process itself first; nothing where it is gone.
    """
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def tree_usage(pid: int) -> Usage:
    """Read the usage of a process and its descendants.

    Args:
        pid: The topmost process; where it is gone, everything is zero.
    """
    cpu_s = peak = resident = 0.0
    processes = threads = 0
    for process in process_tree(pid):
        # A process that ends while it is read has its CPU time added to its parent's.
        with contextlib.suppress(psutil.Error, OSError):
            times = process.cpu_times()
            cpu_s += times.user + times.system
            cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            peak += _peak(process)
            resident += _resident(process)
            threads += process.num_threads()
            processes += 1
    return Usage(cpu_s, peak / MIB, resident / MIB, processes, threads)


def open_descriptors(pid: int) -> int:
    """Count the open descriptors (files, connections, pipes) of a process and its descendants.

    Args:
        pid: The topmost process; where it is gone, there are none.
    """
    count = 0
    for process in process_tree(pid):
        with contextlib.suppress(psutil.Error, OSError):
            count += process.num_fds()
    return count


def private_memory(pid: int) -> float:
    """Memory of a process and its descendants that no other process shares, in bytes.

    The proportional set size moves whenever another process that maps the same libraries starts or ends.

    Args:
        pid: The topmost process; where it is gone, there is none.
    """
    size = 0.0
    for process in process_tree(pid):
        with contextlib.suppress(psutil.Error, OSError):
            size += float(process.memory_full_info().uss)
    return size


def kill_processes(processes: Sequence[psutil.Process], timeout_s: float) -> None:
    """Kill those of the processes that are still there, and wait until they are gone.

    psutil compares start times, so another process that has been given the same id meanwhile is left alone.

    Args:
        processes: For example an earlier `process_tree`; a child whose parent has ended is no longer found from above.
        timeout_s: How long to wait for their ends, in seconds.
    """
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(processes), timeout=timeout_s)


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
