"""An artifact that is not what its manifest says is refused in one line, and so is a manifest that is none."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.errors import ArtifactError
from loadtest.servers.artifact import Artifact, load_artifact
from loadtest.servers.manifest import SCHEMA_VERSION

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(artifact: Artifact, tmp_path: Path) -> Path:
    """A copy of the digits artifact, free to be damaged."""
    return shutil.copytree(artifact.folder, tmp_path / "artifacts" / artifact.workload / artifact.version)


def refusal(folder: Path) -> str:
    """What `loadtest check` says of the artifact; it has to be one line that names the remedy."""
    command = [sys.executable, "-m", "loadtest", "check", "--servers", "flask_server", "--any-port"]
    environment = {**os.environ, "BAKEOFF_ARTIFACTS": str(folder.parents[1])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert line.endswith("python -m models build digits --force")
    return line


def change(folder: Path, alter: Callable[[dict[str, Any]], object]) -> None:
    """Alter the manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    alter(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def lose_entry(folder: Path, name: str) -> None:
    """Take a file out of the manifest."""
    change(folder, lambda manifest: manifest["files"].pop(name))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "must hold a JSON object, not list"),
        ("null", "must hold a JSON object, not NoneType"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("{}", f"has schema None, not {SCHEMA_VERSION}"),
        ('{"schema_version": 0}', f"has schema 0, not {SCHEMA_VERSION}"),
        (f'{{"schema_version": {SCHEMA_VERSION}}}', "workload must be a string"),
    ],
)
def test_what_is_no_manifest_is_refused(folder: Path, text: str, told: str) -> None:
    """Any other JSON, and what is no JSON."""
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    assert told in refusal(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tolerance", "small"),
        ("tolerance", None),
        ("tolerance", True),
        ("tolerance", float("nan")),
        ("tolerance", 0),
        ("tolerance", 10**400),
        ("version", "1"),
        ("max_instances", 0),
        ("max_instances", 2.5),
        ("files", None),
        ("files", []),
        ("files", {"weights.safetensors": "abc"}),
        ("files", {"weights.safetensors": {"sha256": 1}}),
        ("files", {"weights\0": {"sha256": "abc"}}),
        ("load", "load"),
        ("load", {"inputs": {"image": "load/inputs/image.npy"}, "outputs": {}}),
        ("fresh", {"inputs": {"image": "a.npy"}, "outputs": {"probabilities": "b.npy"}, "labels": None}),
        ("golden", "golden"),
        ("golden", {"inputs": {"a": "b\0"}, "outputs": {"probabilities": "b.npy"}, "labels": None, "lengths": None}),
        ("inputs", {}),
        ("inputs", []),
        ("inputs", [{"name": "image", "dtype": "float32", "shape": 8}]),
        ("outputs", [{"name": "probabilities", "dtype": "float32", "shape": [-1]}]),
        ("quality", 0.9),
        ("quality", {"name": "accuracy", "value": "high"}),
        ("versions", []),
        ("pictures", []),
        ("pictures", {"png": {"golden": {}, "load": {}}}),
        ("pictures", {"png": {kind: {"inputs": {"a": "b"}, "outputs": {}} for kind in ("golden", "load", "fresh")}}),
    ],
    ids=repr,
)
def test_a_key_of_another_type_is_named(folder: Path, key: str, value: object) -> None:
    """With what it should be; a missing key is as bad."""
    change(folder, lambda manifest: manifest.update({key: value}))
    with pytest.raises(ArtifactError, match=rf"manifest\.json: {key}[.\w]* must be (an?|the) "):
        load_artifact("digits", folder.parents[1])
    change(folder, lambda manifest: manifest.pop(key))
    with pytest.raises(ArtifactError, match=rf"manifest\.json: {key}[.\w]* must be (an?|the) "):
        load_artifact("digits", folder.parents[1])


def test_missing_files_are_one_line(folder: Path) -> None:
    """As a command says it."""
    change(folder, lambda manifest: manifest.pop("files"))
    assert "files must be a table of files" in refusal(folder)


def test_every_file_has_to_be_listed(folder: Path, artifact: Artifact) -> None:
    """A file that is there and whose entry is lost is noticed, whichever it is."""
    for name in artifact.manifest["files"]:
        before = (folder / "manifest.json").read_bytes()
        lose_entry(folder, name)
        with pytest.raises(ArtifactError, match=f"manifest.json does not list {name}"):
            load_artifact("digits", folder.parents[1])
        (folder / "manifest.json").write_bytes(before)


@pytest.mark.parametrize(
    "name",
    [
        "golden/inputs/image.npy",
        "golden/outputs/probabilities.npy",
        "golden/labels.npy",
        "golden/request.json",
        "load/inputs/image.npy",
        "fresh/outputs/probabilities.npy",
    ],
)
def test_what_is_needed_has_to_be_listed(folder: Path, name: str) -> None:
    """A golden file that was removed together with its entry."""
    (folder / name).unlink()
    lose_entry(folder, name)
    assert f"does not list {name}" in refusal(folder)


def test_a_file_that_nobody_vouches_for_is_refused(folder: Path) -> None:
    """A further version of the model would be served; leavings of the system and of Python would not."""
    for harmless in (".DS_Store", "torch/__pycache__/load.cpython-311.pyc", "saved_model/.part/x"):
        (folder / harmless).parent.mkdir(exist_ok=True)
        (folder / harmless).touch()
    assert load_artifact("digits", folder.parents[1]).size == 64
    shutil.copytree(folder / "saved_model" / "1", folder / "saved_model" / "2")
    assert "does not list saved_model/2/" in refusal(folder)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("golden/outputs/probabilities.npy", "has 64 golden inputs and 63 outputs"),
        ("load/outputs/probabilities.npy", "has 4096 load inputs and 4095 outputs"),
        ("fresh/outputs/probabilities.npy", "has 12288 fresh inputs and 12287 outputs"),
    ],
)
def test_answers_have_to_fit(folder: Path, file: str, told: str) -> None:
    """As many answers as questions."""
    path = folder / file
    np.save(path, np.load(path)[:-1])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change(folder, lambda manifest: manifest["files"][file].update(sha256=digest))
    assert told in refusal(folder)


def test_an_artifact_of_an_earlier_release_is_refused(folder: Path) -> None:
    """What an earlier release built has the schema before, and one line says how to rebuild."""

    def as_before(manifest: dict[str, Any]) -> None:
        manifest["schema_version"] = 3
        manifest["input"], manifest["output"] = manifest.pop("inputs")[0], manifest.pop("outputs")[0]

    change(folder, as_before)
    assert "has schema 3, not 5" in refusal(folder)
