"""What a server uses of its machine, whether it was read from a process tree or from a container's cgroup."""

from dataclasses import dataclass

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
