"""A real comparison that is ended in each way there is: nothing is left running, and it goes on where it was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest

from loadtest.machine.ports import is_free
from loadtest.report.reading import read_results
from loadtest.report.runs_file import RUNS, read_runs
from tests.shortest import SHORTLY

ROOT = Path(__file__).resolve().parents[2]
MARK = "LOADTEST_TEST_SITTING"
PATIENCE_S = 120.0

SITTINGS = (
    ("Begun", signal.SIGINT, True),
    ("Configured", signal.SIGKILL, False),
    ("TurnEnded", signal.SIGTERM, False),
)
"""After which line, by which signal, and whether the whole process group gets it, as from a terminal."""

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}


class OneSitting:
    """`loadtest compare` as a process, known with all that it starts by a variable of its environment."""

    def __init__(self, *arguments: object) -> None:
        self._mark = uuid.uuid4().hex
        command = [sys.executable, "-m", "loadtest", "compare", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, MARK: self._mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out = self.err = ""

    def end(self, number: signal.Signals, *, group: bool) -> None:
        """Send a signal, wait, and see that nothing that it started is left, nor a port of it taken."""
        ports = [
            connection.laddr.port
            for one in self.family()
            for connection in one.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        (os.killpg if group else os.kill)(self.process.pid, number)
        self.out, self.err = self.process.communicate(timeout=PATIENCE_S)
        _, left = psutil.wait_procs(self.family(), timeout=30)  # a killed one's server ends by itself
        assert left == []
        assert all(is_free(port, "127.0.0.1") for port in ports)
        assert "Traceback" not in self.err

    def family(self) -> list[psutil.Process]:
        """Every process that has the variable, whoever its parent is by now."""
        found = []
        for one in psutil.process_iter():
            try:
                if one.environ().get(MARK) == self._mark and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
            except psutil.Error:
                continue
        return found


def lines_of(folder: Path) -> list[str]:
    """What the lines that are there say that they are."""
    path = folder / RUNS
    whole = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line)["what"] for line in whole]


def await_line(sitting: OneSitting, folder: Path, what: str, before: int) -> None:
    """Wait until the sitting has written such a line."""
    deadline = time.monotonic() + PATIENCE_S
    while what not in lines_of(folder)[before:]:
        assert sitting.process.poll() is None, sitting.process.communicate()
        assert time.monotonic() < deadline, f"no line {what}"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_comparison_survives_every_end_and_goes_on(tmp_path: Path) -> None:
    """Killed, told to end and interrupted, each at a moment that a seed draws; the last sitting completes it."""
    moments, out = random.Random(1), tmp_path / "out"
    arguments: tuple[object, ...] = (
        "--quick",
        "--servers",
        "flask_server",
        "--any-port",
        "--no-setup",
        *SHORTLY,
        "--out",
        out,
    )
    kept: list[str] = []
    for what, number, group in SITTINGS:
        sitting = OneSitting(*arguments)
        await_line(sitting, out, what, len(kept))
        time.sleep(moments.uniform(0.0, 1.0))
        sitting.end(number, group=group)
        killed = number == signal.SIGKILL
        assert sitting.process.returncode == (-number if killed else 128 + number), sitting.err
        told = sitting.err.strip().splitlines()
        assert told[-1:] == ([] if killed else [f"{WORDS[number]}; everything that was started has ended"])
        assert lines_of(out)[: len(kept)] == kept, "what was there stays"
        kept = lines_of(out)
        assert read_runs(out / RUNS).record.lines == len(kept)
        arguments = ("--resume", out, "--any-port")
    assert not read_results(out).only.comparison.complete
    last = OneSitting(*arguments)
    last.out, last.err = last.process.communicate(timeout=PATIENCE_S)
    assert last.process.returncode == 0, last.err
    comparison = read_results(out).only.comparison
    assert comparison.complete
    assert len(comparison.resumed) == len(SITTINGS) - 1, "before the first end nothing was measured"
    (server,) = comparison.servers
    assert [one.number for one in server.rounds] == [1]
    assert lines_of(out).count("TurnEnded") == 2, "no turn is taken twice"
    assert f"resumed {len(SITTINGS) - 1} times" in (out / "report.md").read_text(encoding="utf-8")
    assert last.family() == []
