"""The README's commands are run as they stand there."""

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from loadtest.servers.artifact import Artifact
from loadtest.servers.server_toml import load_servers, select_servers
from tests.shortest import SHORTLY

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for line in block.strip().splitlines()
]
CURLS = [command for command in COMMANDS if command.startswith("curl ")]
LOADTESTS = [c for c in COMMANDS if c.startswith(".venv/bin/loadtest ") and not c.endswith(" up")]
UP_S = 180.0
SERVERS = select_servers(None, load_servers())


def _words(command: str) -> list[str]:
    words = shlex.split(command)
    return [sys.executable, "-m", "loadtest", *words[1:]] if words[0].endswith("/loadtest") else words


@pytest.fixture(scope="module")
def servers_up() -> Iterator[list[str]]:
    """The servers as the README starts them; ended by Ctrl-C as the README says."""
    assert ".venv/bin/loadtest up" in COMMANDS
    process = subprocess.Popen(
        _words(".venv/bin/loadtest up"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops them" in line:
            break
    else:
        pytest.fail("loadtest up ended:\n" + "".join(lines))
    yield lines
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_up_prints_a_curl_for_each_server(servers_up: list[str]) -> None:
    """A curl line stands under each server's name and address."""
    assert sum("curl -H" in line for line in servers_up) == len(SERVERS)


@pytest.mark.parametrize("command", CURLS)
def test_every_curl_answers_the_same(command: str, servers_up: list[str], artifact: Artifact) -> None:
    """Each server answers the same digit with the same probabilities."""
    done = subprocess.run(_words(command), cwd=ROOT, capture_output=True, text=True, check=True)
    answer = np.array(json.loads(done.stdout)["predictions"])
    assert answer.shape == (1, 10)
    assert int(answer.argmax()) == 7
    np.testing.assert_allclose(answer, artifact.golden.outputs["probabilities"][:1], atol=artifact.tolerance, rtol=0)


def test_there_is_a_curl_for_each_server() -> None:
    """Three servers, three curls."""
    assert len(CURLS) == 3


def test_the_body_of_the_curls_is_the_first_golden_input(artifact: Artifact) -> None:
    """The example beside the model is a golden input, so its answer is known."""
    body = json.loads((ROOT / "models" / "digits.example.json").read_text())
    np.testing.assert_array_equal(np.array(body["instances"], dtype=np.float32), artifact.golden.inputs["image"][:1])


@pytest.mark.parametrize("command", LOADTESTS)
def test_every_loadtest_command_works(command: str, servers_up: list[str]) -> None:
    """Each runs to its end; on a busy machine a run may call itself invalid, and then it must say why."""
    done = subprocess.run(_words(command), cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    told = done.stdout + done.stderr
    assert "Traceback" not in told
    honest = ("INVALID", '"valid": false', "no probe was valid", "was at its limit")
    assert done.returncode == 0 or any(words in told for words in honest), told


@pytest.mark.slow
def test_the_comparison_runs(tmp_path: Path) -> None:
    """`scripts/compare --quick` measures both from any folder and leaves its files where it was told."""
    out = tmp_path / "result"
    command = [str(ROOT / "scripts" / "compare"), "--quick", *SHORTLY, "--any-port", "--out", str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (document,) = json.loads((out / "result.json").read_text())["comparisons"]
    assert document["complete"]
    assert [server["parity"]["faults"] for server in document["servers"]] == [[]] * len(SERVERS)
    assert all(len(server["rounds"]) == 1 for server in document["servers"])
    assert "ceiling per s" in done.stdout
    (setup,) = json.loads((out / "setup.json").read_text())["measurements"]
    assert setup["servers"].keys() == {server["key"] for server in document["servers"]}
    for server in setup["servers"].values():
        assert server["written"]["lines"] > 0
        assert sum(cell["supported"] is not None for cell in server["capabilities"]) > 8
    page = (out / "report.html").read_text()
    assert 'id="setup-section"' in page
    assert "No server was started" not in page


def test_every_link_leads_somewhere() -> None:
    """Relative links of the README name files that exist."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_tables_are_those_of_the_results_that_they_name() -> None:
    """Written by `scripts/readme` from files of the repository; a number changed by hand is found."""
    command = [sys.executable, str(ROOT / "scripts" / "readme_tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    named = re.findall(r"<!-- (latency|setup) (\S+) -->", README)
    assert {kind for kind, _ in named} == {"latency", "setup"}
    for kind, folder in named:
        assert (ROOT / folder / {"latency": "result.json", "setup": "setup.json"}[kind]).is_file()
