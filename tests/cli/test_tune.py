"""A real server is tuned, within a minute and a space of two configurations, and compared with what was found."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtest.experiments.tuned_servers import read_tuning
from tests.docs.scratch_copy import ScratchCopy

ROOT = Path(__file__).resolve().parents[2]
TWO = """
[tune.knobs.threads]
help = "threads of a process that answer requests"
values = [2, 4]
default = 4

[[tune.apply]]
args = ["--threads", "{knobs[threads]}"]
files = { "flask_server.env" = "FLASK_SERVER_THREADS={knobs[threads]}" }
"""


@pytest.fixture
def copy(tmp_path: Path) -> ScratchCopy:
    """The repository, in which Flask has two configurations."""
    artifacts = Path(os.environ.get("BAKEOFF_ARTIFACTS") or ROOT / "artifacts")
    copy = ScratchCopy(tmp_path / "copy", artifacts)
    toml = copy.root / "flask_server" / "server.toml"
    text = toml.read_text(encoding="utf-8")
    before = text.index("# For `loadtest tune`")
    toml.write_text(text[:before] + TWO, encoding="utf-8")
    return copy


@pytest.mark.slow
def test_a_real_server_is_tuned(copy: ScratchCopy) -> None:
    """Every measurement is kept; the files are there, or on a busy machine the reason why nothing could be measured."""
    command = [sys.executable, "-m", "loadtest", "tune", "flask_server", "--budget", "0.2", "--any-port"]
    done = subprocess.run(command, cwd=copy.root, env=copy.environment, capture_output=True, text=True, check=False)
    folder = copy.root / "results" / "tuned" / "digits" / "flask_server"
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    assert trials[0]["configuration"] == {"threads": 4}
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "the default configuration cannot be measured" in done.stderr
        assert f"measurements kept: {len(trials)}, in " in done.stderr
        return
    tuning = read_tuning(folder / "tuned.json")
    assert [one.number for one in tuning.outcome.trials] == [one["number"] for one in trials]
    assert tuning.label == "Flask + granian (torch)"
    assert tuning.versions["granian"]
    assert all(not one.out and one.peak_mib > 50 for one in tuning.outcome.trials if not one.limits)
    threads = tuning.outcome.tuned["threads"]
    assert (folder / "flask_server.env").read_text(encoding="utf-8") == f"FLASK_SERVER_THREADS={threads}"
    assert "## What each knob" in (folder / "report.md").read_text(encoding="utf-8") or len(trials) < 5
    assert "written to" in done.stdout


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_measured(copy: ScratchCopy) -> None:
    """It ends with 130, names the file, and leaves no server."""
    command = [sys.executable, "-m", "loadtest", "tune", "flask_server", "--budget", "30", "--any-port"]
    process = subprocess.Popen(
        command, cwd=copy.root, env=copy.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    journal = copy.root / "results" / "tuned" / "digits" / "flask_server" / "trials.jsonl"
    while process.poll() is None and not (journal.is_file() and journal.stat().st_size):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "measurements kept: 1, in " in told
    left = subprocess.run(["pgrep", "-f", str(copy.root)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
