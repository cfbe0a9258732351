"""Real soaks: of a server that leaks and errs in known amounts, of Flask, and of one that is ended with Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from loadtest.cli import cli
from loadtest.errors import LaunchError, UsageError
from loadtest.launch.launcher import LocalLauncher
from loadtest.launch.local import LocalServer
from loadtest.launch.running import RunningServer
from loadtest.machine.placement import UNPINNED
from loadtest.resilience import soak as soaking
from loadtest.resilience.soak import SoakPlan, soak
from loadtest.resilience.soak_file import read_soak
from loadtest.resilience.soak_result import DESCRIPTORS, MEMORY, THREADS, soak_of
from loadtest.resilience.soak_sample import SoakSample
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers
from tests.resilience.leaking_server import DROPPED, EVERY, LEAK_KIB, WRONG

SCRIPT = Path(__file__).with_name("leaking_server.py")
COMMAND = """
import sys
from pathlib import Path
from loadtest.cli import common, main
from loadtest.resilience import soak
from loadtest.servers.server_toml import load_servers
folder = Path(sys.argv.pop(1))
common.load_servers = lambda: load_servers(folder)
soak.WARMUP_S, soak.PACE_S, soak.SHORTEST_SAMPLE_S = 0.5, 0.3, 0.1
main()
"""
"""`loadtest` as a process of its own, with the servers of a folder, and as short as `shortly` has it."""

TOML = """
name = "leaking"
label = "Leaking"
runtime = "torch"
compose_service = "leaking"
written_files = []
[ports]
rest = 18998
[wires]
rest = {{ port = "rest", path = "/predict" }}
[ready]
port = "rest"
path = "/ready"
contains = "yes"
[[launch]]
command = ["{{python}}", {script}, "{{ports[rest]}}", "{{artifact}}", {marker}]
env = {{ PYTHONPATH = "{{root}}" }}
"""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that makes the server leak."""
    return tmp_path / "leak"


@pytest.fixture
def leaking(tmp_path: Path, marker: Path) -> Server:
    """A server that leaks and errs as soon as the marker is there."""
    folder = tmp_path / "leaking"
    folder.mkdir()
    text = TOML.format(script=json.dumps(str(SCRIPT)), marker=json.dumps(str(marker)))
    (folder / "server.toml").write_text(text)
    return load_servers(tmp_path)["leaking"]


@pytest.fixture
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short warm-up and many samples."""
    for name, seconds in (("WARMUP_S", 0.5), ("PACE_S", 0.3), ("SHORTEST_SAMPLE_S", 0.1)):
        monkeypatch.setattr(soaking, name, seconds)


@pytest.mark.usefixtures("shortly")
def test_leaks_and_errors_are_told_in_their_amounts(leaking: Server, marker: Path, artifact: Artifact) -> None:
    """Memory, descriptors and threads per million requests; every wrong and every lost answer."""
    samples: list[SoakSample] = []

    def begin(running: RunningServer, pace_rps: float) -> None:
        assert pace_rps > 0
        marker.touch()

    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    plan = SoakPlan(requests=None, duration_s=6.0, connections=4, sample_s=0.1)
    totals = soak(launcher, leaking, plan, on_begin=begin, on_sample=samples.append)
    predictions = totals.requests
    # A request whose connection is closed counts as lost; both intervals meet at every 3,000th, which is dropped.
    assert sum(totals.lost.values()) == predictions // DROPPED
    assert totals.wrong == predictions // WRONG - predictions // 3_000
    assert totals.right == predictions - totals.wrong - sum(totals.lost.values())
    # The leak goes by requests: by a clock that goes by them too, it grows evenly however the machine stalls.
    even = [replace(one, at_s=(one.right + one.wrong + sum(one.errors.values())) / 1_000) for one in samples]
    found = soak_of("Leaking", None, "rest", plan, 1.0, even, totals)
    assert not found.passed
    trends = found.trends
    assert {name: trend.told for name, trend in trends.items() if name in (MEMORY, DESCRIPTORS, THREADS)} == {
        MEMORY: "grows",
        DESCRIPTORS: "grows",
        THREADS: "grows",
    }
    per_million = 1e6 / EVERY
    for name in (DESCRIPTORS, THREADS):
        assert trends[name].per_million.value == pytest.approx(per_million, rel=0.25)
    # A thread has a stack of its own beside what is kept on purpose.
    assert 0.75 < trends[MEMORY].per_million.value / (per_million * LEAK_KIB / 1024) < 1.6


@pytest.mark.usefixtures("shortly")
def test_a_server_that_dies_ends_its_soak(leaking: Server, artifact: Artifact) -> None:
    """And no other process is waited for: it is told that it has ended."""
    victims: list[int] = []

    def begin(running: RunningServer, pace_rps: float) -> None:
        assert isinstance(running, LocalServer)
        victims.append(running.pid)

    def kill(sample: SoakSample) -> None:
        os.kill(victims[0], signal.SIGKILL)

    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    plan = SoakPlan(requests=None, duration_s=60.0, sample_s=0.1)
    with pytest.raises(LaunchError, match="leaking ended with SIGKILL"):
        soak(launcher, leaking, plan, on_begin=begin, on_sample=kill)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--duration 0", "--duration must be above 0 and at most 604,800 seconds, not '0'"),
        ("--duration 5x", "--duration must be above 0 and at most 604,800 seconds, not '5x'"),
        ("--duration 200h", "--duration must be above 0 and at most 604,800 seconds, not 720000.0"),
        ("--requests 0", "--requests must be a whole number from 1 to 1,000,000,000 requests, not '0'"),
        ("--requests 9 --duration 5m", "--requests and --duration both say when a soak ends: leave one out"),
        ("--servers nope", "no server 'nope'; there are: flask_server"),
        ("--wire grpc", "flask_server does not speak grpc"),
        ("--rate 0.001", "the duration must be above 0 and at most 604,800 seconds, not 1004000000.0"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_started(words: str, told: str, tmp_path: Path) -> None:
    """One line, and no file."""
    with pytest.raises(UsageError, match=re.escape(told)) as raised:
        CliRunner().invoke(cli, ["soak", *words.split(), "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("shortly")
def test_flask_is_soaked(tmp_path: Path) -> None:
    """Some thousand predictions, all right, by the command with its files and page; nothing is left running."""
    words = ["soak", "--servers", "flask_server", "--requests", "1500", "--any-port", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert not [one for one in psutil.Process().children(True) if "flask_server" in " ".join(one.cmdline())]
    (server,) = read_soak(tmp_path).servers.values()
    totals = server.totals
    assert totals is not None
    assert (server.finished, server.passed, totals.wrong, totals.lost, totals.refused) == (True, True, 0, {}, {})
    assert totals.right >= 1_500
    last = server.samples[-1]
    assert last.resident_mib > last.own_mib > 20
    assert last.descriptors is not None
    assert last.threads is not None
    assert last.descriptors > 16  # the connections of the load among them
    assert last.threads >= (last.processes or 0) >= 1
    assert "compared with the golden one" in done.output
    assert (tmp_path / "soak.html").is_file()


def test_what_was_measured_before_ctrl_c_is_kept(tmp_path: Path, leaking: Server) -> None:
    """The samples, their summary and the page; the server ends, and the exit code says why."""
    command = [sys.executable, "-c", COMMAND, str(leaking.folder.parent)]
    command += ["soak", "--duration", "20", "--any-port", "--out", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = tmp_path / "soak.jsonl"
    while process.poll() is None and not (lines.is_file() and lines.read_text().count('"Sampled"') >= 1):
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; everything that was started has ended" in err
    assert "It was cut short." in " ".join(out.split())
    _, left = psutil.wait_procs(family, timeout=30)
    assert left == []
    (server,) = read_soak(tmp_path).servers.values()
    assert not server.finished
    assert server.totals is not None
    assert server.totals.right == server.samples[-1].right > 0
    assert (tmp_path / "soak.json").is_file()
    assert (tmp_path / "soak.html").is_file()
