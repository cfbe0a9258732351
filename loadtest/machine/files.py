"""Results are written whole or not at all; what cannot be read is told in one line."""

import os
import shutil
from pathlib import Path

from loadtest.errors import UsageError


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        UsageError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a failure, or an end in mid-write, leaves what was there before.

    The text goes to a draft beside the file, which then takes its place, with its permissions. A link, and what is no
    regular file, such as /dev/null or a named pipe, is written to as it is.

    Raises:
        UsageError: If it cannot be written; no draft is left.
    """
    check_writable(path)  # a folder lets a file be replaced that may not be written to
    try:
        if not _may_be_replaced(path):
            path.write_text(text, encoding="utf-8")
            return
        draft = _draft(path)
        try:
            draft.touch()
            if path.exists():
                shutil.copymode(path, draft)
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error


def check_writable(path: Path) -> None:
    """Find out before a long run, and not after it, that its result cannot be written; nothing is changed.

    A pipe or a device is not tried: to open one may wait for a reader, or be noticed.

    Raises:
        UsageError: If the file cannot be written.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        if path.is_fifo() or path.is_char_device() or path.is_block_device():
            return
        target = Path(os.path.realpath(path))
        exists = os.path.lexists(target)  # a link in a circle is there as well, and cannot be opened
        if exists:
            target.open("ab").close()
        if not exists or not path.is_symlink():
            draft = _draft(target)
            draft.touch()
            draft.unlink()
    except OSError as error:
        raise _refusal(path, error) from error


def _may_be_replaced(path: Path) -> bool:
    return not path.is_symlink() and (path.is_file() or not path.exists())


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _refusal(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path}: {error.strerror or error}")
