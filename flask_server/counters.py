"""Numbers that each process of a service counts for itself, and any of them can add up over all.

Each process keeps its numbers in a file of its own, mapped into memory and locked for as long as it lives; the kernel
gives the lock back however it ends. A process that starts takes over the file of one that has ended and counts on in
it, so that no count is lost or told twice, and there are never more files than there were processes at once.
"""

import contextlib
import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

SUFFIX, NEW = ".counts", ".new"
NUMBER = 8
"""Bytes of a float64: a count is exact up to 2**53."""


class Counters:
    """The numbers of this process, all zero at first or those of a process that has ended.

    Whoever changes `values` sees to it that no other thread does meanwhile.

    Args:
        size: How many there are.
        gauges: Which of them are true only while their process lives.
        folder: Where all processes of the service keep theirs; None where there is only this one.

    Attributes:
        values: The numbers.

    Raises:
        OSError: The folder cannot be written, or its file system has no locks.
    """

    def __init__(self, size: int, gauges: tuple[int, ...], folder: Path | None) -> None:
        self._gauges = gauges
        self._folder = folder
        self._bytes = size * NUMBER
        if folder is None:
            self.values = memoryview(bytearray(self._bytes)).cast("d")
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self._taken_over(folder) or self._made(folder)
        self.values = memoryview(mmap.mmap(self._file, self._bytes)).cast("d")
        for gauge in gauges:
            self.values[gauge] = 0.0

    def totals(self) -> list[float]:
        """Add the numbers of all processes, those that have ended included; of their gauges nothing is left."""
        if self._folder is None:
            return list(self.values)
        totals = [0.0] * len(self.values)
        for file in self._files(self._folder):
            # Locked: its process lives. Shared, so that two who add up at the same time do not take each other for it.
            lives = not _locked(file, fcntl.LOCK_SH)
            for at, value in enumerate(memoryview(os.pread(file, self._bytes, 0)).cast("d")):
                if lives or at not in self._gauges:
                    totals[at] += value
        return totals

    def _taken_over(self, folder: Path) -> int | None:
        """The file of a process that has ended, locked; None where there is none."""
        for file in self._files(folder):
            if _locked(file, fcntl.LOCK_EX):
                return os.dup(file)
        return None

    def _made(self, folder: Path) -> int:
        """A new file, locked before it has the name by which others find it."""
        file, path = tempfile.mkstemp(suffix=NEW, dir=folder)
        os.ftruncate(file, self._bytes)
        fcntl.flock(file, fcntl.LOCK_EX)
        Path(path).rename(path.removesuffix(NEW) + SUFFIX)
        return file

    def _files(self, folder: Path) -> Iterator[int]:
        """Every file, opened; one of another length is of another release."""
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            file = os.open(path, os.O_RDWR)
            try:
                if os.fstat(file).st_size == self._bytes:
                    yield file
            finally:
                os.close(file)


def _locked(file: int, how: int) -> bool:
    """Whether the lock could be had at once."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, how | fcntl.LOCK_NB)
        return True
    return False
