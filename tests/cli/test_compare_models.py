"""`compare` over two real models and two batch sizes, as a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtest.report.reading import read_results
from tests.shortest import SHORTLY

ROOT = Path(__file__).resolve().parents[2]


def compare(*arguments: object, program: str = "loadtest") -> subprocess.CompletedProcess[str]:
    """Compare one server."""
    command = [sys.executable, "-m", program, "compare", "--servers", "flask_server", "--any-port"]
    command += map(str, arguments)
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=900)


@pytest.mark.slow
def test_two_models_and_two_batch_sizes_are_one_result(tmp_path: Path) -> None:
    """Each answer is checked; the page, the text, the setup and the JUnit file hold every comparison."""
    out, outcome = tmp_path / "out", tmp_path / "junit.xml"
    short = [*SHORTLY, "--quick"]
    limits = [f"{name}/flask_server.errors<1%" for name in ("digits", "digits@8", "adaptive@8")]
    asserted = [word for limit in limits for word in ("--assert", limit)]
    models = ["--workload", "digits,adaptive", "--batch-sizes", "1,8"]
    done = compare(*models, *short, *asserted, "--junit", outcome, "--out", out, program="tests.shortest")
    # On a busy machine a run may be invalid, so that a threshold on it is not known.
    assert done.returncode == int("FAILED: " in done.stdout), done.stdout + done.stderr
    names = ["digits", "digits@8", "adaptive", "adaptive@8"]
    assert done.stdout.startswith(f"{', '.join(names)}: 1 server, rounds: 1; this takes ")
    results = read_results(out)
    assert list(results.comparisons) == names
    assert results.unmeasured == {}
    for comparison in results.comparisons.values():
        (server,) = comparison.servers
        assert server.faults == []
        assert server.parity is not None
        assert server.parity.worst < comparison.workload.tolerance
        (one,) = server.rounds
        assert one.open_loop.requests.ok == one.open_loop.requests.scheduled > 5
        assert one.open_loop.requests.mismatched == 0
        assert (server.caching is not None) == (comparison.plan.batch == 1), "each model is audited once"
    setups = [document.setup.servers["flask_server"] for document in results.documents if document.setup]
    assert [bool(one.capabilities) for one in setups] == [True, True, False, False], (
        "what a server can do is tried out with the first model"
    )
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(f'<h2 id="{name.replace("@", "-")}-section">' in page for name in names)
    assert list(results.models) == ["digits", "adaptive"], "what the artifacts tell of the models is kept"
    assert page.count("<strong>What it gets wrong.</strong>") == 2
    assert [case.attrib["name"] for case in ElementTree.parse(outcome).iter("testcase")] == limits


@pytest.mark.slow
def test_a_server_is_compared_with_itself_over_another_wire(tmp_path: Path) -> None:
    """Each passes its own gate; requests and answers have their sizes; caching is looked for once."""
    out = tmp_path / "out"
    short = [*SHORTLY, "--no-setup"]
    done = compare("--wires", "rest,octets", *short, "--out", out, program="tests.shortest")
    assert done.returncode == 0, done.stdout + done.stderr
    comparison = read_results(out).only.comparison
    rest, octets = comparison.servers
    assert [rest.key, octets.key] == ["flask_server", "flask_server+octets"]
    for server in (rest, octets):
        assert server.parity is not None
        assert server.parity.agrees
        (one,) = server.rounds
        assert one.open_loop.run.wire == server.wire
        assert one.open_loop.requests.ok == one.open_loop.requests.scheduled > 5
        assert server.message is not None
    assert rest.message is not None
    assert octets.message is not None
    assert octets.message.request < rest.message.request
    assert octets.caching is None
    assert rest.caching is not None
    assert "over octets" in (out / "report.html").read_text(encoding="utf-8")


def test_what_no_model_can_take_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    """A model that was never built, a batch that is too large, and an empty name: one line each, and no folder."""
    out = tmp_path / "out"
    for arguments, told in (
        (["--workload", "digits,nothing"], "no artifact of workload 'nothing'"),
        (["--workload", "digits,,minilm"], "names no model between two commas"),
        (["--workload", "minilm", "--batch-sizes", "1,100"], "takes 64 instances in one request at most, not 100"),
        (["--batch-sizes", "1,0"], "--batch-sizes must be a whole number from 1"),
        (["--workload", "digits,minilm", "--launcher", "network"], "they serve one model: name one"),
        (["--workload", "digits,minilm", "--assert", "flask_server.p99<1s"], "write 'digits/flask_server.p99<1s'"),
    ):
        done = compare(*arguments, "--out", out)
        assert done.returncode == 1, arguments
        (line,) = done.stderr.strip().splitlines()
        assert told in line
        assert not out.exists()


def test_all_is_every_model_that_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is, the command says how to build them."""
    monkeypatch.setenv("BAKEOFF_ARTIFACTS", str(tmp_path / "none"))
    done = compare("--workload", "all", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr == "error: --workload all: nothing is built yet: python -m models build\n"
    for name in ("light", "heavy"):
        (tmp_path / "none" / name / "1").mkdir(parents=True)
        (tmp_path / "none" / name / "1" / "manifest.json").write_text(json.dumps({"schema_version": 0}))
    done = compare("--workload", "all", "--out", tmp_path / "out")
    assert "python -m models build heavy --force" in done.stderr, "in alphabetical order, and each is read"
