"""A file that grows by a line for each thing that was measured, and outlives whatever ends the program that writes it.

A line is written, flushed to the disk and only then relied upon. A program that is killed or a disk that is full costs
the line that was being written and no other: it has no line break, so readers leave it out, and the next writer takes
it off.
"""

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import StorageError, UsageError
from loadtest.machine.files import read_bytes

_TAIL = 65_536
"""Bytes that are read at a time to find the last line break."""


@dataclass(frozen=True)
class Lines:
    """What a journal holds.

    Attributes:
        whole: Its lines, without their line breaks.
        cut_short: Whether a further one was begun and not ended.
    """

    whole: list[bytes]
    cut_short: bool


class Journal:
    """Adds lines to a file, which no other process may do meanwhile; to be closed, or used in a ``with``.

    Args:
        path: The file. It is made where there is none; what stands in it is kept, but for a last line cut short.

    Raises:
        UsageError: If another process is writing to it.
        StorageError: If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise self._refusal(error) from error
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._file)
            self._lock()
            try:
                self._size = _end_of_lines(self._file)
                os.ftruncate(self._file, self._size)
                _sync_folder(path.parent)
            except OSError as error:
                raise self._refusal(error) from error
            undo.pop_all()

    def add(self, line: bytes) -> None:
        """Add a line; when this returns, it is on the disk.

        Args:
            line: Without a line break.

        Raises:
            StorageError: If it cannot be written; the file is then what it was before.
        """
        assert b"\n" not in line
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except BaseException as error:  # Ctrl-C too leaves no part of a line
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            if isinstance(error, OSError):
                raise self._refusal(error) from error
            raise
        self._size += len(line) + 1

    def close(self) -> None:
        """Let others write to it; a second time does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _lock(self) -> None:
        """The kernel gives the lock back when this process is gone, however it ended."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{self.path} is being written by another process: wait for its end") from error
        except OSError:  # no locks on this file system
            pass

    def _refusal(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self.path}: {error.strerror or error}")


def read_lines(path: Path) -> Lines:
    """Read a journal, which may be written to meanwhile.

    Raises:
        UsageError: If it cannot be read.
    """
    *whole, rest = read_bytes(path).split(b"\n")
    return Lines(whole, cut_short=bool(rest))


def _end_of_lines(file: int) -> int:
    """Where the last whole line ends."""
    end = os.fstat(file).st_size
    while end > 0:
        begin = max(end - _TAIL, 0)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _sync_folder(folder: Path) -> None:
    """Have the file's name on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems have no such thing
        pass
    finally:
        os.close(descriptor)
