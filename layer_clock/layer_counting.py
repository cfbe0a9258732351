"""Counts the CPU time of a process's threads layer by layer, into a file that another process can read meanwhile.

A layer's time is its own: what a call inside of it spends in another layer is that one's. It is the CPU time of the
calling thread, so waiting counts nothing, however many threads there are.

Where a layer computes on threads of its own, as a forward pass may, they are told by when they began: while a call of
that layer was running. Their ids stand in the file, and the kernel knows their CPU time.

The file, ``PID.counters``: 4096 bytes of JSON (the layers in their order), then 64-bit integers of this machine: `POOL`
ids of such threads (0 for none), then for each thread that called a row with calls and nanoseconds of each layer.
"""

import contextlib
import functools
import json
import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import thread_time_ns
from typing import Any

HEADER, POOL, ROWS = 4096, 256, 1024
"""Bytes of JSON, threads of a pool that have room, and threads that call; further ones share the last row."""

LOOKS = 8
"""In so many calls of each thread it is looked for threads that begin: a pool begins with the first work for it."""


class LayerClock:
    """The counters of this process. A child that is forked has its own.

    Args:
        folder: Where the file is made at the first call; a process that makes no call has none.
        layers: Names of the layers.
        pools: The one of them that may compute on threads of its own; empty where none does.
    """

    def __init__(self, folder: Path, layers: Sequence[str], pools: str = "") -> None:
        self._folder, self._layers, self._pools = folder, list(layers), pools
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._local = threading.local()
        self._file: _CounterFile | None = None

    def timed(self, call: Callable[..., Any], layer: str) -> Callable[..., Any]:
        """The same call, counted as one of that layer."""
        index = self._layers.index(layer)
        run = self._watched(call) if layer == self._pools else call

        @functools.wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            thread = self._thread()
            outer = thread.layer
            now = thread_time_ns()
            if outer >= 0:
                thread.cells[2 * outer + 1] += now - thread.since
            thread.layer, thread.since = index, now
            try:
                return run(*args, **kwargs)
            finally:
                now = thread_time_ns()
                thread.cells[2 * index + 1] += now - thread.since
                if outer != index:
                    thread.cells[2 * index] += 1
                thread.layer, thread.since = outer, now

        return counted

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            thread = self._thread()
            if thread.looks <= 0:
                return call(*args, **kwargs)
            thread.looks -= 1
            with self._adopting_threads():
                return call(*args, **kwargs)

        return watched

    @contextlib.contextmanager
    def _adopting_threads(self) -> Iterator[None]:
        before = _threads()
        try:
            yield
        finally:
            own = {thread.native_id for thread in threading.enumerate()}  # Python's are no pool of a framework
            born = _threads() - before - own
            if born:
                with self._lock:
                    self._counters().adopt(born)

    def _thread(self) -> "_Thread":
        try:
            found: _Thread = self._local.thread
        except AttributeError:
            with self._lock:
                found = self._local.thread = _Thread(self._counters().row())
        return found

    def _counters(self) -> "_CounterFile":
        if self._file is None:
            self._file = _CounterFile(self._folder, self._layers)
        return self._file


class _Thread:
    """What a thread is at: the layer, -1 outside of all, and its CPU time when that began."""

    __slots__ = ("cells", "layer", "looks", "since")

    def __init__(self, cells: memoryview) -> None:
        self.cells, self.layer, self.since, self.looks = cells, -1, 0, LOOKS


class _CounterFile:
    def __init__(self, folder: Path, layers: Sequence[str]) -> None:
        header = json.dumps({"layers": layers, "pool": POOL}).encode().ljust(HEADER)
        self._width = 2 * len(layers)
        size = HEADER + 8 * (POOL + ROWS * self._width)
        path = folder / f"{os.getpid()}.new"
        with path.open("w+b") as file:
            file.write(header)
            file.truncate(size)
            file.flush()
            self._cells = memoryview(mmap.mmap(file.fileno(), size))[HEADER:].cast("q")
        path.rename(path.with_suffix(".counters"))  # whole from the beginning
        self._rows = 0
        self._pool: list[int] = []

    def row(self) -> memoryview:
        """The counters of a further thread. Each has its own, so that none has to lock."""
        start = POOL + min(self._rows, ROWS - 1) * self._width
        self._rows += 1
        return self._cells[start : start + self._width]

    def adopt(self, threads: set[int]) -> None:
        """Note the threads of a pool, as many as have room."""
        self._pool += sorted(threads - {*self._pool})
        for at, thread in enumerate(self._pool[:POOL]):
            self._cells[at] = thread


def _threads() -> set[int]:
    """Ids of this process's threads; none where the kernel does not list them."""
    try:
        return {int(task.name) for task in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()
