"""The same damaged artifacts are refused, each with one clear line, by all five programs that check an artifact.

They are `models` itself, the load tester, and the three servers; none imports the check of another.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.launch.launcher import LocalLauncher, running
from loadtest.machine.placement import UNPINNED
from loadtest.machine.ports import free_ports
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.server_toml import load_servers

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
NOT_OF_THIS_MACHINE = "192.0.2.1"
"""An address for documentation (RFC 5737): a server that gets as far as listening there ends."""


@dataclass(frozen=True)
class Checker:
    """A program that checks an artifact before it uses it.

    Attributes:
        command: Its words, given the artifact's folder and a scratch folder.
        file: A file of the artifact that it uses.
        keeps_log: Whether it writes a log to the same place before its last line, as TensorFlow Serving does.
    """

    command: Callable[[Path, Path], list[str]]
    file: str
    keeps_log: bool = False


def _torchserve(artifact: Path, scratch: Path) -> list[str]:
    options = ["--artifact", str(artifact), "--workload", "digits", "--run-dir", str(scratch)]
    return ["torchserve/serve.py", *options, "--host", NOT_OF_THIS_MACHINE]


def _tf_serving(artifact: Path, scratch: Path) -> list[str]:
    ports = free_ports(["port", "rest_api_port"], HOST)
    flags = [f"--{name}={port}" for name, port in ports.items()]
    return ["-m", "tf_serving.embedded", *flags, "--model_name=digits", f"--model_base_path={artifact / 'saved_model'}"]


CHECKERS = {
    "models": Checker(lambda artifact, scratch: ["-m", "models", "verify", "digits"], "weights.safetensors"),
    "loadtest": Checker(
        lambda artifact, scratch: ["-m", "loadtest", "check", "--servers", "flask_server", "--any-port"],
        "golden/outputs/probabilities.npy",
    ),
    "flask_server": Checker(
        lambda artifact, scratch: ["-m", "flask_server", "--host", NOT_OF_THIS_MACHINE], "torch/weights.safetensors"
    ),
    "torchserve": Checker(_torchserve, "model_store/digits.mar"),
    "tf_serving": Checker(_tf_serving, "saved_model/1/saved_model.pb", keeps_log=True),
}


@pytest.fixture
def folder(artifact: Artifact, tmp_path: Path) -> Path:
    """A copy of the digits artifact, free to be damaged."""
    return shutil.copytree(artifact.folder, tmp_path / "artifacts" / artifact.workload / artifact.version)


def run(checker: Checker, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a checker over the artifact to its end."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BAKEOFF_ARTIFACTS": str(folder.parents[1]),
        "FLASK_SERVER_ARTIFACT": str(folder),
    }
    command = [sys.executable, *checker.command(folder, folder.parents[2] / "run")]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def manifest_of(folder: Path) -> dict[str, Any]:
    """The parsed manifest."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def changed_byte(folder: Path, file: str) -> str:
    """One bit of the file is another; its size stays."""
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    return file


def missing_file(folder: Path, file: str) -> str:
    """The file is gone, and the manifest still lists it."""
    (folder / file).unlink()
    return file


def extra_key(folder: Path, file: str) -> str:
    """The manifest has a key that its schema does not have."""
    manifest = manifest_of(folder) | {"quantised": True}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return "quantised"


def other_schema(folder: Path, file: str) -> str:
    """The manifest is of a schema to come."""
    manifest = manifest_of(folder)
    manifest["schema_version"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return "schema"


def earlier_schema(folder: Path, file: str) -> str:
    """The manifest is that of an earlier release, which wrote no inputs for load tests."""
    manifest = manifest_of(folder)
    manifest["schema_version"] -= 1
    del manifest["load"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return "schema"


def no_json(folder: Path, file: str) -> str:
    """The manifest is cut short."""
    whole = (folder / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").write_text(whole[: len(whole) // 2], encoding="utf-8")
    return "manifest.json"


@pytest.mark.parametrize("damage", [changed_byte, missing_file, extra_key, other_schema, earlier_schema, no_json])
@pytest.mark.parametrize("name", CHECKERS)
def test_a_damaged_artifact_is_refused(name: str, damage: Callable[[Path, str], str], folder: Path) -> None:
    """With one line that names what is wrong and how to build the artifact again."""
    checker = CHECKERS[name]
    wrong = damage(folder, checker.file)
    done = run(checker, folder)
    assert done.returncode == 1
    assert done.stdout == ""
    *before, line = done.stderr.strip().splitlines()
    assert wrong in line
    assert str(folder) in line
    assert "python -m models build" in line
    assert checker.keeps_log or not before
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["flask_server", "torchserve"])
def test_an_intact_artifact_gets_a_server_as_far_as_its_port(name: str, folder: Path) -> None:
    """So what refused the damaged ones was the damage."""
    done = run(CHECKERS[name], folder)
    assert done.returncode == 1
    assert f"cannot listen on {NOT_OF_THIS_MACHINE}" in done.stderr


def test_an_intact_artifact_is_served(artifact: Artifact, folder: Path) -> None:
    """By the embedded server, which takes the address it listens on from elsewhere."""
    server = replace(load_servers()["tf_serving"], launches=(load_servers()["tf_serving"].launches[-1],))
    copy = load_artifact(artifact.workload, folder.parents[1])
    with running(LocalLauncher(copy, UNPINNED, any_port=True), [server]) as (one,):
        assert one.is_ready()
