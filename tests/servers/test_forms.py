"""Variants that serve another form: what is missing is named before anything is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.servers.artifact import ROOT, Artifact


def _started(artifact: Artifact, tmp_path: Path, server: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    commands = {
        "flask_server": [sys.executable, "-m", "flask_server", "--port", "0"],
        "torchserve": [
            *(sys.executable, "torchserve/serve.py", "--artifact", str(artifact.folder), "--workload", "digits"),
            *("--run-dir", str(tmp_path), "--form", "compiled"),
        ],
    }
    more = {**os.environ, "PYTHONPATH": str(ROOT), "FLASK_SERVER_ARTIFACT": str(artifact.folder), **environment}
    more.pop("CXX", None)
    return subprocess.run(commands[server], cwd=ROOT, env=more, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("server", ["flask_server", "torchserve"])
def test_a_server_that_compiles_says_that_there_is_no_compiler(server: str, artifact: Artifact, tmp_path: Path) -> None:
    """In one line, and instead of failing at its first prediction."""
    done = _started(artifact, tmp_path, server, PATH="", FLASK_SERVER_RUNTIME="torch_compiled")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{server}: torch.compile needs a C++ compiler: install ")


def test_flask_says_how_to_build_a_form_that_is_not_there(artifact: Artifact, tmp_path: Path) -> None:
    """The command in the message is the one that makes it."""
    if any(name.startswith("forms/aotinductor/") for name in artifact.manifest["files"]):
        pytest.skip("the artifact was built with this form")
    done = _started(artifact, tmp_path, "flask_server", FLASK_SERVER_RUNTIME="torch_aotinductor")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("lists no file forms/aotinductor/*: run `python -m models build digits --forms aotinductor`")
