"""What a container used, read from the counters of its cgroup.

Memory counts everything charged to the container: its processes' memory, its tmpfs and the page cache that it was the
first to fill.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.machine.usage import MIB, Usage

CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cgroup:
    """The folders with one container's counters; with version 2 of cgroups they are all the same.

    Attributes:
        cpu: Folder with the CPU time.
        memory: Folder with the memory.
        pids: Folder with the processes.
        version: Of cgroups: 1 or 2.
    """

    cpu: Path
    memory: Path
    pids: Path
    version: int

    @classmethod
    def find(cls, pid: int, container: str, root: Path = CGROUP_ROOT, proc: Path = Path("/proc")) -> "Cgroup | None":
        """Find a container's cgroup on this machine.

        Args:
            pid: Process id of its first process, as the Engine reports it.
            container: Its id.
            root: Where the cgroup file system is mounted.
            proc: Where the process file system is mounted.

        Returns:
            None where the Engine runs on another machine (a virtual one under Docker Desktop), or in a namespace.
        """
        try:
            lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        # Lines are `hierarchy:controllers:path`; version 2 has the one line `0::path` (cgroups(7)).
        paths = {name: path for line in lines for _, names, path in [line.split(":", 2)] for name in names.split(",")}
        if container not in "".join(paths.values()):
            return None
        if "cpuacct" in paths:
            cpu, memory, pids = (root / name / paths[name].lstrip("/") for name in ("cpuacct", "memory", "pids"))
            found = cls(cpu, memory, pids, 1)
        else:
            folder = root / paths[""].lstrip("/")
            found = cls(folder, folder, folder, 2)
        return found if (found.pids / "cgroup.procs").exists() else None

    def usage(self) -> Usage:
        """Read the counters; everything is zero where the container is gone."""
        try:
            if self.version == 1:
                cpu_s = _number(self.cpu / "cpuacct.usage") / 1e9
                peak = _number(self.memory / "memory.max_usage_in_bytes")
                now = _number(self.memory / "memory.usage_in_bytes")
                idle_cache = _entry(self.memory / "memory.stat", "total_inactive_file")
            else:
                cpu_s = _entry(self.cpu / "cpu.stat", "usage_usec") / 1e6
                now = _number(self.memory / "memory.current")
                high = self.memory / "memory.peak"  # came with Linux 5.19
                peak = _number(high) if high.exists() else now
                idle_cache = _entry(self.memory / "memory.stat", "inactive_file")
            processes = len((self.pids / "cgroup.procs").read_text(encoding="ascii").split())
            threads = int(_number(self.pids / "pids.current"))
        except OSError:
            return Usage(0.0, 0.0, 0.0, 0, 0)
        return Usage(cpu_s, peak / MIB, (now - idle_cache) / MIB, processes, threads)

    def own_mib(self) -> float:
        """Memory that no file backs, in MiB: of processes, shared, and what a tmpfs holds; NaN where it is gone."""
        names = ("total_rss", "total_shmem") if self.version == 1 else ("anon", "shmem")
        try:
            return sum(_entry(self.memory / "memory.stat", name) for name in names) / MIB
        except OSError:
            return math.nan

    def processes(self) -> list[int]:
        """Their ids on this machine; none where it is gone."""
        try:
            return [int(pid) for pid in (self.pids / "cgroup.procs").read_text(encoding="ascii").split()]
        except OSError:
            return []


def usage_of_stats(stats: dict[str, Any], peak_bytes: float, processes: int) -> Usage:
    """Usage from the Engine's own report, for an Engine on another machine.

    Args:
        stats: One answer of ``GET /containers/ID/stats``; it is empty where the container is not running.
        peak_bytes: Content of memory.peak in the container, 0 where it is not known: with version 2 of cgroups the
            report lost it.
        processes: Number of processes.
    """
    threads = int(stats.get("pids_stats", {}).get("current", 0))
    if not threads:
        return Usage(0.0, 0.0, 0.0, 0, 0)
    memory = stats["memory_stats"]
    details = memory.get("stats", {})
    now = float(memory.get("usage", 0))
    peak = float(memory.get("max_usage") or peak_bytes or now)
    idle_cache = float(details.get("total_inactive_file", details.get("inactive_file", 0)))
    cpu_s = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    return Usage(cpu_s, peak / MIB, (now - idle_cache) / MIB, processes, threads)


def _number(path: Path) -> float:
    return float(path.read_text(encoding="ascii"))


def _entry(path: Path, name: str) -> float:
    for line in path.read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return float(value)
    return 0.0
