"""Which cores the client and the servers run on."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Placement:
    """Disjoint sets of cores; empty sets mean that nothing is pinned.

    Attributes:
        server: Cores of the server under load.
        client: Cores of the load tester.
    """

    server: tuple[int, ...]
    client: tuple[int, ...]

    @property
    def pinned(self) -> bool:
        """Whether both sides have cores of their own."""
        return bool(self.server and self.client)

    @property
    def server_threads(self) -> int:
        """How many threads a server should compute with."""
        return len(self.server) if self.pinned else os.cpu_count() or 1


UNPINNED = Placement((), ())


def choose_placement(*, pin: bool, client_cores: int = 1) -> Placement:
    """Give the last core(s) to the client and the others to the server.

    Args:
        pin: Whether to pin at all.
        client_cores: Cores for the client.

    Returns:
        An unpinned placement where pinning is not wanted, not supported or there are too few cores.
    """
    if not pin or not hasattr(os, "sched_getaffinity"):
        return UNPINNED
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= client_cores:
        return UNPINNED
    return Placement(tuple(cores[:-client_cores]), tuple(cores[-client_cores:]))


@contextlib.contextmanager
def running_on(cores: tuple[int, ...]) -> Iterator[None]:
    """Run this thread, and whatever it starts meanwhile, on these cores; on any where the set is empty."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def process_on(cores: tuple[int, ...]) -> Iterator[None]:
    """Run every thread of this process on these cores, and afterwards where it was; anywhere, if the set is empty.

    A thread that was started meanwhile goes where the calling one was.
    """
    if not cores or not TASKS.is_dir():
        yield
        return
    here = os.sched_getaffinity(0)
    before = {}
    for task in TASKS.iterdir():
        thread = int(task.name)
        with contextlib.suppress(OSError):  # it has ended meanwhile
            before[thread] = os.sched_getaffinity(thread)
            os.sched_setaffinity(thread, cores)
    try:
        yield
    finally:
        for task in TASKS.iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), before.get(int(task.name), here))


def placement_beside(server: tuple[int, ...], client_cores: int = 1) -> Placement:
    """Place the client beside servers whose cores are given: on the last of the other cores.

    Returns:
        An unpinned placement where the servers have no cores of their own or too few others are left.
    """
    if not server or not hasattr(os, "sched_getaffinity"):
        return UNPINNED
    others = sorted(os.sched_getaffinity(0) - set(server))
    return Placement(server, tuple(others[-client_cores:])) if len(others) >= client_cores else UNPINNED


def parse_cores(text: str) -> set[int]:
    """Read a list of cores such as ``0-2,5``, the List format of cpuset(7).

    Raises:
        ValueError: If it is none.
    """
    cores: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores
