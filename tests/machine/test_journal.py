"""A file that grows by lines: what was added is there, whatever ends the program that adds to it."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.errors import StorageError, UsageError
from loadtest.machine.journal import Journal, read_lines

HOLD = """
import sys, time
from pathlib import Path
from loadtest.machine.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.add(b"one")
print("ready", flush=True)
time.sleep(60)
"""


def test_a_line_cut_short_is_left_out_and_taken_off_by_the_next_writer(tmp_path: Path) -> None:
    """Wherever the file ends, the lines before stay as they are, and the next one stands on a line of its own."""
    path, lines = tmp_path / "runs.jsonl", [b'{"a":1}', b'{"b":2}', b"x" * 200_000]
    whole = b"".join(line + b"\n" for line in lines)
    for size in (0, 3, 7, 8, 9, 16, 17, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:size])
        ended = whole[:size].count(b"\n")
        found = read_lines(path)
        assert found.whole == lines[:ended]
        assert found.cut_short == (size not in (0, 8, 16, len(whole)))
        with Journal(path) as journal:
            journal.add(b"next")
        assert read_lines(path).whole == [*lines[:ended], b"next"]
        assert not read_lines(path).cut_short


def test_a_full_disk_costs_the_line_that_did_not_fit(tmp_path: Path) -> None:
    """The file ends after the last line that did, and takes others once there is room again."""
    path, before = tmp_path / "runs.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        journal.add(b"first")
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
        try:
            with pytest.raises(StorageError, match=rf"cannot write {path}: File too large"):
                journal.add(b"x" * 5_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.read_bytes() == b"first\n"
        journal.add(b"second")
    assert read_lines(path).whole == [b"first", b"second"]


def test_an_interrupt_in_the_middle_of_a_line_leaves_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is there when `add` returns, and not when it raises."""
    path = tmp_path / "runs.jsonl"

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    with Journal(path) as journal:
        journal.add(b"first")
        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.add(b"second")
    assert path.read_bytes() == b"first\n"


def test_one_process_writes_and_others_may_read(tmp_path: Path) -> None:
    """A second writer is refused as long as the first one lives; a killed one leaves its lines, and no lock."""
    path = tmp_path / "runs.jsonl"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(UsageError, match="is being written by another process"):
            Journal(path)
        assert read_lines(path).whole == [b"one"]
        first.kill()
    with Journal(path) as journal:
        journal.add(b"two")
    assert read_lines(path).whole == [b"one", b"two"]


def test_what_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    """A folder that is not there, or a file in its place."""
    for path in (tmp_path / "no" / "runs.jsonl", tmp_path):
        with pytest.raises(StorageError, match=f"cannot write {path}: "):
            Journal(path)
