"""The whole line in one command: what it leaves when it goes through, when it stops, and when it is ended."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.servers.artifact import Artifact, load_artifact
from release.blessing import BLESSED, FOLDER
from release.candidate import read_candidate
from release.data_digest import data_sha256
from tests.release.conftest import until

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("flask_server", "tf_serving", "torchserve")


@pytest.fixture
def root(artifact: Artifact, tmp_path: Path) -> Path:
    """A folder of artifacts with what scripts/test built, free to be blessed."""
    shutil.copytree(artifact.folder, tmp_path / "artifacts" / "digits" / "1", ignore=shutil.ignore_patterns(FOLDER))
    return tmp_path / "artifacts"


def start(root: Path, workload: str, *words: str) -> subprocess.Popen[str]:
    """Starts `python -m models release` into folders beside the artifacts."""
    command = [sys.executable, "-m", "models", "release", workload, "--to", str(root.parent / "served")]
    return subprocess.Popen(
        [*command, "--out", str(root.parent / "out"), *words],
        cwd=ROOT,
        env={**os.environ, "BAKEOFF_ARTIFACTS": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def told(root: Path) -> tuple[dict[str, Any], str]:
    """The summary, and its page on one line."""
    out = root.parent / "out"
    page = (out / "release.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://127.0.0.1", "")
    return json.loads((out / "summary.json").read_text()), " ".join(page.split())


@pytest.mark.slow
def test_what_is_built_is_blessed_by_all_and_pushed(root: Path) -> None:
    """Each step says what it saw; every server that was really started blessed it; what was built stays whole."""
    process = start(root, "digits")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "digits v1: pushed as version 1" in output
    summary, page = told(root)
    outcomes = {step["name"]: step["outcome"] for step in summary["steps"]}
    assert set(outcomes.values()) == {"passed", "left out"}
    assert outcomes["latency gate"] == "left out"
    candidate = read_candidate("digits", root / "digits" / "1")
    model = summary["model"]
    assert model["manifest_sha256"] == candidate.manifest_sha256
    assert model["data_sha256"] == data_sha256(candidate.artifact.manifest)
    assert model["data_sha256"] in page
    parity = summary["parity"]
    assert {"saved_model", "torch", "model_store"} <= parity.keys()
    assert max(parity.values()) <= candidate.artifact.tolerance
    verdicts = summary["blessings"]
    for server, verdict in zip(SERVERS, verdicts, strict=True):
        (file,) = (candidate.folder / FOLDER / server).iterdir()
        assert file.name == BLESSED
        assert json.loads(file.read_text()) == verdict
        assert verdict["golden"] > 0 < verdict["smoke"]
        assert 0 < verdict["load_s"] <= verdict["first_answer_s"]
        assert verdict["label"] in page
        assert not verdict["stands_in_for"] or verdict["label"] != verdict["stands_in_for"]
    assert load_artifact("digits", root.parent / "served").version == "1"


def test_a_release_that_stops_says_where_and_why(root: Path) -> None:
    """Exit code 1; what comes after was not reached, and there is no target."""
    process = start(root, "nothing_of_this_name")
    output, _ = process.communicate()
    assert process.returncode == 1
    assert "nothing_of_this_name: stopped at build: " in output
    summary, page = told(root)
    first, *others = summary["steps"]
    assert first["outcome"] == "stopped"
    assert {step["outcome"] for step in others} == {"not reached"}
    assert f"Nothing was pushed. Build: {first['lines'][-1]}" in page.replace("&#39;", "'").replace("&#34;", '"')
    assert not (root.parent / "served").exists()


def test_what_cannot_end_well_is_not_begun(root: Path) -> None:
    """A target that is somebody's folder, and a limit that cannot be read, are told before anything is built."""
    (root.parent / "served").mkdir()
    (root.parent / "served" / "notes.txt").touch()
    for words, why in (((), "name a new or an empty one"), (("--to", str(root / "new"), "--assert", "p99"), "'p99'")):
        process = start(root, "digits", *words)
        output, _ = process.communicate()
        assert process.returncode == 1
        assert output.startswith("error: ")
        assert output.count("\n") == 1
        assert why in output
        assert not (root.parent / "out").exists()


def test_a_release_that_is_ended_leaves_a_page_and_no_process(root: Path) -> None:
    """Ended in its first step, it ends what it had started."""
    process = start(root, "digits")
    begun = psutil.Process(process.pid)
    until(lambda: bool(begun.children()))
    children = begun.children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 1
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in children))
    summary, _ = told(root)
    assert summary["steps"][0]["lines"][-1] == "interrupted"
    assert not (root.parent / "served").exists()
