"""What machine this is, and how busy its cores were."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

CLIENT_PACKAGES = ("numpy", "uvloop", "httptools", "orjson")


@dataclass(frozen=True)
class Host:
    """Hardware and software of a machine.

    Attributes:
        cpu: Name of the processor.
        cores: Cores that the system shows.
        memory_gib: Main memory.
        system: Operating system and its release.
        machine: Architecture, such as ``x86_64``.
        virtual: Whether a hypervisor shows itself.
        python: Version of the interpreter.
        client_packages: Versions of the libraries that the client's speed depends on.
    """

    cpu: str
    cores: int
    memory_gib: float
    system: str
    machine: str
    virtual: bool
    python: str
    client_packages: dict[str, str]


def describe_host() -> Host:
    """Read what this machine is."""
    return Host(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        virtual=_is_virtual(),
        python=platform.python_version(),
        client_packages={name: importlib.metadata.version(name) for name in CLIENT_PACKAGES},
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _is_virtual() -> bool:
    try:
        return " hypervisor " in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


@dataclass(frozen=True)
class CoreTimes:
    """Seconds since boot, summed over a set of cores.

    Attributes:
        busy: Running anything.
        steal: Taken by the hypervisor for other machines.
    """

    busy: float
    steal: float

    def since(self, before: "CoreTimes") -> "CoreTimes":
        """The difference to an earlier reading."""
        return CoreTimes(self.busy - before.busy, self.steal - before.steal)


def read_cores(cores: tuple[int, ...]) -> CoreTimes:
    """Read the kernel's accounting of these cores; of all where the set is empty."""
    times = psutil.cpu_times(percpu=True)
    chosen = [times[core] for core in cores if core < len(times)] or times
    idle = sum(one.idle + getattr(one, "iowait", 0.0) for one in chosen)
    steal = sum(getattr(one, "steal", 0.0) for one in chosen)
    total = sum(sum(one) - getattr(one, "guest", 0.0) - getattr(one, "guest_nice", 0.0) for one in chosen)
    return CoreTimes(total - idle - steal, steal)
