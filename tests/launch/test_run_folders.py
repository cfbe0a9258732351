"""Run folders: those no process uses are removed by the next run; nothing else is ever touched."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from loadtest.machine.run_folder import MARKER, NEW, PREFIX, RunFolder, clear_abandoned

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import subprocess, sys, time
from loadtest.machine.run_folder import RunFolder
folder = RunFolder("test")
(folder.path / "content").touch()
child = subprocess.Popen(["sleep", "60"], pass_fds=[folder.lock]) if sys.argv[1:] else None
print(folder.path, child.pid if child else "", flush=True)
time.sleep(60)
"""
COPY = """
import time
from loadtest.servers.artifact import load_artifact
from loadtest.setup.scratch import scratch_copy
from loadtest.servers.server_toml import load_servers
with scratch_copy(load_servers()["tf_serving"], load_artifact("digits")) as copy:
    print(copy.artifact.folder, flush=True)
    time.sleep(60)
"""
HURRY = """
import sys
from loadtest.machine.run_folder import RunFolder
for turn in range(100):
    with RunFolder("test") as path:
        (path / "content").write_text(str(turn))
        with RunFolder("other"):
            pass
        assert (path / "content").read_text() == str(turn)
"""


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A temporary directory of the test's own, for this process and for those that it starts; its path is short."""
    tmp_path_factory.getbasetemp()  # made by the first test that asks for it: not in here
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


@pytest.fixture
def python() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start Python programs that end with the test."""
    started = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        started.append(subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> list[str]:
    """The words of the first line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def kill(process: "subprocess.Popen[str]") -> None:
    """End it without a chance to clear up."""
    process.kill()
    process.wait()


def test_the_next_start_clears_what_a_killed_one_left(
    scratch: Path, python: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Of two processes one is killed: its folder goes with the next start, that of the living one stays whole."""
    dead, living = python("-c", HOLD), python("-c", HOLD)
    (left,), (used,) = first_line(dead), first_line(living)
    kill(dead)
    assert Path(left).exists()
    with RunFolder("next") as own:
        assert {path.name for path in scratch.iterdir()} == {Path(used).name, own.name}
        assert (Path(used) / "content").exists()
    assert list(scratch.iterdir()) == [Path(used)]


def test_a_killed_setup_leaves_its_copies_to_the_next_start(
    scratch: Path, python: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """What was copied to try things out on is cleared as well."""
    dead = python("-c", COPY)
    assert list(Path(first_line(dead)[0]).rglob("saved_model.pb"))
    kill(dead)
    clear_abandoned()
    assert list(scratch.iterdir()) == []


def test_a_folder_is_in_use_as_long_as_the_server_is_there(
    python: Callable[..., "subprocess.Popen[str]"],
) -> None:
    """Who started it was killed, and what was started goes on for a while."""
    parent = python("-c", HOLD, "child")
    left, child = first_line(parent)
    kill(parent)
    clear_abandoned()
    assert (Path(left) / "content").exists()
    os.kill(int(child), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while Path(left).exists() and time.monotonic() < deadline:
        clear_abandoned()
        time.sleep(0.02)
    assert not Path(left).exists()


def test_nothing_else_is_touched(scratch: Path, tmp_path: Path) -> None:
    """Results of a similar name, folders of other names, files, links, and a folder that is about to be locked."""
    target = tmp_path / "target"
    marked = (scratch / "flask_server-abcdefgh", scratch / f"{PREFIX}test-abcdefgh{NEW}", target)
    for folder in (scratch / f"{PREFIX}results", *marked):
        folder.mkdir()
        (folder / "content").touch()
    for folder in marked:
        (folder / MARKER).touch()
    (scratch / f"{PREFIX}file").touch()
    (scratch / f"{PREFIX}link").symlink_to(target)
    before = sorted(scratch.rglob("*"))
    clear_abandoned()
    assert sorted(scratch.rglob("*")) == before
    assert (target / "content").exists()
    abandoned = scratch / f"{PREFIX}test-abcdefgh"
    abandoned.mkdir()
    (abandoned / MARKER).touch()
    clear_abandoned()
    assert sorted(scratch.rglob("*")) == before


def test_starts_at_the_same_time_do_not_disturb_each_other(
    scratch: Path, python: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Four processes make, clear and remove folders as fast as they can: each finds its own as it left it."""
    processes = [python("-c", HURRY) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    assert list(scratch.iterdir()) == []


def test_a_long_path_does_not_keep_a_run_from_starting(
    scratch: Path, python: Callable[..., "subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that just fits into a short name is not given a longer one."""
    long = scratch / ("x" * (104 - len(f"{scratch}//pymp-12345678/listener-12345678") - 1))
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    run = python("-m", "loadtest", "run", "http://127.0.0.1:9/", "--no-pin", "--warmup", "0", "--duration", "0.2")
    assert "0 of" in run.communicate(timeout=60)[0]
    assert list(long.iterdir()) == []


def descendants(process: "subprocess.Popen[str]") -> Sequence[psutil.Process]:
    """What it started, and what that started."""
    return psutil.Process(process.pid).children(recursive=True)


def test_a_killed_run_leaves_nothing_after_the_next_one(
    scratch: Path, python: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """The command as it is used: killed under load, and run again."""
    command = ["-m", "loadtest", "run", "flask_server", "--any-port", "--warmup", "0", "--rate", "50"]
    killed = python(*command, "--duration", "60")
    deadline = time.monotonic() + 60
    while not list(scratch.rglob("listener-*")):  # the clients are being started, so the server is up
        assert killed.poll() is None
        assert time.monotonic() < deadline, "the run did not begin"
        time.sleep(0.02)
    family = descendants(killed)
    kill(killed)
    psutil.wait_procs(family, timeout=30)
    assert len(list(scratch.iterdir())) == 2, "a folder of the server and one of the clients"
    again = python(*command, "--duration", "0.3")
    again.communicate(timeout=120)
    assert list(scratch.iterdir()) == []
