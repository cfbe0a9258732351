"""Results that cannot be written: one line, an exit code that is not 0, and nothing lost or left half written."""

import contextlib
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.machine.files import check_writable, write_whole
from loadtest.setup.setup_file import read_setups, write_setups
from tests.cli.changed_process import after
from tests.report.samples import SAMPLE, SETUP
from tests.shortest import SHORTLY
from tests.wire.programmable import Listening, Programmable

ROOT = Path(__file__).resolve().parents[2]
NO_SPACE = 4_096
NOBODY = 65_534
THROUGH = stat.S_IXGRP | stat.S_IXOTH


def loadtest(*arguments: object, first: str = "", **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command line, in a process to which something is done first."""
    command = after(first, [sys.executable, "-m", "loadtest", *map(str, arguments)])
    options = {"stdout": subprocess.PIPE} | options
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False, timeout=120, **options)


def short_run(port: Listening, target: object) -> "list[object]":
    """Arguments of a run of a moment."""
    return ["run", port.url, "--no-pin", "--warmup", "0", "--duration", "0.2", "--json", target]


def assert_refused(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """One line on standard error, with these words, and exit code 1."""
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def out_of_space(size: int = NO_SPACE) -> str:
    """Lets no file grow beyond so many bytes: a write fails in the middle, as on a disk that is full."""
    return f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"


@contextlib.contextmanager
def as_ordinary_user(folder: Path) -> Iterator[None]:
    """Be somebody, in a folder of their own, whom permissions bind; the superuser they do not."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, NOBODY, -1)
    with contextlib.ExitStack() as undo:
        for parent in folder.parents:  # they are closed to others
            mode = stat.S_IMODE(parent.stat().st_mode)
            if mode | THROUGH != mode:
                parent.chmod(mode | THROUGH)
                undo.callback(parent.chmod, mode)
        os.seteuid(NOBODY)
        undo.callback(os.seteuid, 0)
        yield


def test_full_output_is_one_line(programmable: Programmable) -> None:
    """A disk that is full under a redirected output: JSON and table alike."""
    port = programmable.listen("fixed")
    with Path("/dev/full").open("w") as full:
        assert_refused(loadtest(*short_run(port, "-"), stdout=full), "standard output: No space left")
        assert_refused(loadtest(*short_run(port, os.devnull), stdout=full), "standard output: No space left")


def test_closed_pipe_is_one_line(programmable: Programmable) -> None:
    """Who was to read the JSON has gone."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = loadtest(*short_run(programmable.listen("fixed"), "-"), stdout=write)
    finally:
        os.close(write)
    assert_refused(done, "standard output: Broken pipe")


def test_closed_output_is_found_out_before_the_run(programmable: Programmable) -> None:
    """Without a standard output there is nowhere to write to, and nothing is sent."""
    port = programmable.listen("fixed")
    assert_refused(loadtest(*short_run(port, "-"), first="os.close(1)"), "standard output is closed")
    assert port.counts["requests"] == 0


@pytest.mark.parametrize("target", ["", ".", "/no/such/folder/x.json"])
def test_impossible_file_is_found_out_before_the_run(programmable: Programmable, target: str) -> None:
    """A folder, or a file in none, is refused and nothing is sent."""
    port = programmable.listen("fixed")
    assert_refused(loadtest(*short_run(port, target)), "cannot write")
    assert port.counts["requests"] == 0


def test_full_disk_leaves_the_earlier_result(programmable: Programmable, tmp_path: Path) -> None:
    """The file is whole, the old or the new one, and there is nothing beside it."""
    out = tmp_path / "result.json"
    out.write_text("earlier", encoding="utf-8")
    done = loadtest(*short_run(programmable.listen("fixed"), out), first=out_of_space(200))
    assert_refused(done, f"cannot write {out}: File too large")
    assert out.read_text(encoding="utf-8") == "earlier"
    assert loadtest(*short_run(programmable.listen("fixed"), out)).stderr == ""
    assert json.loads(out.read_text(encoding="utf-8"))["requests"]["ok"] > 0
    assert list(tmp_path.iterdir()) == [out]


def test_full_disk_keeps_a_report(tmp_path: Path) -> None:
    """A report that cannot be written again stays what it was, and the comparison side by side is refused likewise."""
    (tmp_path / "result.json").write_bytes(SAMPLE.read_bytes())
    page = tmp_path / "report.html"
    page.write_text("earlier", encoding="utf-8")
    assert_refused(loadtest("report", tmp_path, first=out_of_space()), f"cannot write {page}")
    assert page.read_text(encoding="utf-8") == "earlier"
    out = tmp_path / "diff"
    assert_refused(loadtest("diff", tmp_path, tmp_path, "--out", out, first=out_of_space()), "cannot write")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"result.json", "report.html"}


def test_full_disk_leaves_no_draft_of_a_setup(tmp_path: Path) -> None:
    """The ease of setup is written as every result is; the limit is this process's own for the time of the write."""
    out, before = tmp_path / "setup.json", resource.getrlimit(resource.RLIMIT_FSIZE)
    out.write_text("earlier", encoding="utf-8")
    resource.setrlimit(resource.RLIMIT_FSIZE, (NO_SPACE, before[1]))
    try:
        with pytest.raises(UsageError, match="cannot write"):
            write_setups(read_setups(SETUP), out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert out.read_text(encoding="utf-8") == "earlier"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_full_disk_ends_a_comparison(tmp_path: Path) -> None:
    """It is told when the next line does not fit; the server has ended, and the lines before it are whole."""
    out = tmp_path / "out"
    command = ["compare", "--servers", "flask_server", "--any-port", "--out", out]
    done = loadtest(*command, *SHORTLY, first=out_of_space(12_000))  # the server's counts need 10 kB
    assert_refused(done, f"cannot write {out / 'runs.jsonl'}: File too large")
    assert [path.name for path in out.iterdir()] == ["runs.jsonl"]
    lines = (out / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["what"] for line in lines][:3] == ["Header", "Begun", "ForwardPasses"]


def test_a_disk_that_is_full_from_the_start_is_found_out_before_the_comparison(tmp_path: Path) -> None:
    """Not even the first line can be written: nothing is started."""
    out = tmp_path / "out"
    done = loadtest("compare", "--servers", "flask_server", "--any-port", "--out", out, first=out_of_space(200))
    assert_refused(done, f"cannot write {out / 'runs.jsonl'}: File too large")
    assert (out / "runs.jsonl").read_bytes() == b""


def test_a_file_that_may_not_be_written_is_found_out_before_the_run(programmable: Programmable, tmp_path: Path) -> None:
    """A program that is running, by its own name and by a link, and links that lead nowhere: nothing is sent."""
    port = programmable.listen("fixed")
    program, link, astray, circle = (tmp_path / name for name in ("program", "link", "astray", "circle"))
    sleep = shutil.which("sleep")
    assert sleep is not None
    shutil.copy(sleep, program)
    link.symlink_to(program)
    astray.symlink_to(tmp_path / "no" / "such" / "folder")
    circle.symlink_to(circle)
    before = sorted(tmp_path.rglob("*"))
    with subprocess.Popen(["sleep", "120"], executable=program) as running:
        for target in (program, link, astray, circle):
            assert_refused(loadtest(*short_run(port, target)), f"cannot write {target}: ")
        with pytest.raises(UsageError, match=r"cannot write .*program: Text file busy"):
            write_whole(program, "text")
        running.kill()
    assert port.counts["requests"] == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert program.read_bytes() == Path(sleep).read_bytes()


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    """What others may not read, they may not read afterwards; what everybody may, they still may."""
    out = tmp_path / "result.json"
    for mode in (0o600, 0o664):
        out.touch()
        out.chmod(mode)
        write_whole(out, "later")
        assert stat.S_IMODE(out.stat().st_mode) == mode


def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    """Whoever may not write to it may not put another in its place, though the folder lets them."""
    out = tmp_path / "result.json"
    out.write_text("earlier", encoding="utf-8")
    out.chmod(0o444)
    with as_ordinary_user(tmp_path):
        with pytest.raises(UsageError, match=r"cannot write .*: Permission denied"):
            check_writable(out)
        with pytest.raises(UsageError, match=r"cannot write .*: Permission denied"):
            write_whole(out, "later")
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text(encoding="utf-8") == "earlier"


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    """A device stays one, a link goes on leading where it led, and what is checked is not changed."""
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.write_text("earlier", encoding="utf-8")
    link.symlink_to(kept)
    for path in (link, kept, Path(os.devnull), tmp_path / "new"):
        check_writable(path)
    assert (kept.read_text(encoding="utf-8"), (tmp_path / "new").exists()) == ("earlier", False)
    write_whole(link, "later")
    write_whole(Path(os.devnull), "text")
    assert kept.read_text(encoding="utf-8") == "later"
    assert link.is_symlink()
    assert Path(os.devnull).is_char_device()
    with pytest.raises(UsageError, match="cannot write"):
        write_whole(tmp_path, "text")
