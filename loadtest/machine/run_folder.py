"""Folders in the temporary directory for the time of a run; what a killed process leaves there, the next one clears.

A folder is in use as long as its lock is held. The kernel gives a lock back when the last process that has it open is
gone, however it ended. That is certain where a process id is not: it may be another process's by now, or may count in
another container that shares the directory.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "bakeoff-"
NEW = ".new"
"""How the name of a folder ends that is not locked yet; nobody clears those."""
MARKER = ".loadtest-run"
"""Name of an empty file in each of these folders; one without it, such as somebody's results, is never cleared."""


class RunFolder:
    """A folder that is removed by `close`, at the end of a ``with``, or by the next process that makes one.

    Args:
        what: What it is for, as a part of its name.

    Attributes:
        path: Where it is.
        lock: File descriptor of its lock. A process that inherits it keeps the folder in use beyond the end of this
            process.
    """

    def __init__(self, what: str) -> None:
        clear_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{what}-", suffix=NEW))
        self.lock = os.open(self.path, os.O_RDONLY)
        with contextlib.suppress(OSError):  # no locks on this file system: its name goes on saying that it is not
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (self.path / MARKER).touch()
            self.path = self.path.rename(self.path.with_name(self.path.name.removesuffix(NEW)))

    def close(self) -> None:
        """Remove the folder with all that is in it; a second time does nothing."""
        if self.lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self.lock)
            self.lock = -1

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *exc: object) -> None:
        self.close()


def clear_abandoned() -> None:
    """Remove this user's folders that nobody has in use any more."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not path.name.endswith(NEW):
            _clear(path)


def _clear(path: Path) -> None:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, no folder, or another user's
        return
    try:
        if os.fstat(lock).st_uid == os.getuid() and (path / MARKER).is_file():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass  # in use
    finally:
        os.close(lock)
