"""python -m models: what it prints, when it refuses, what it leaves behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import models
from models.artifact_manifest import read, scan
from models.errors import BrokenArtifactError
from tests.models.conftest import run

Run = Callable[..., "subprocess.CompletedProcess[str]"]
REPO = Path(models.__file__).parent.parent


@dataclass(frozen=True)
class Built:
    """Artifacts that `build` made of digits with one seed, each in a root of its own.

    Attributes:
        done: What the first command said, which found the remains of a killed build.
        first: Its root.
        repaired: The root in which a copy of it was damaged and built again.
    """

    done: "subprocess.CompletedProcess[str]"
    first: Path
    repaired: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Two builds for all tests that look at what one does; no setting that could silence a framework is there."""
    first, repaired = (tmp_path_factory.mktemp(name) / "artifacts" for name in ("first", "repaired"))
    (first / ".building-killed" / "artifact").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"):
            patch.delenv(name, raising=False)
        done = run(first, "build", "digits", "--seeds", "1")
        shutil.copytree(first, repaired)
        (repaired / "digits" / "1" / "weights.safetensors").write_bytes(b"")
        run(repaired, "build", "digits", "--seeds", "1")
    return Built(done, first, repaired)


def interrupt_build(root: Path, sent: signal.Signals) -> None:
    """Starts a build of digits and ends it in the middle."""
    environment = {**os.environ, "BAKEOFF_ARTIFACTS": str(root)}
    command = [sys.executable, "-m", "models", "build", "digits"]
    with subprocess.Popen(command, cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as build:
        deadline = time.monotonic() + 60
        while not list(root.glob(".building-*/artifact")):
            assert time.monotonic() < deadline
            assert build.poll() is None
            time.sleep(0.01)
        build.send_signal(sent)
        _, errors = build.communicate(timeout=60)
    assert build.returncode != 0
    assert b"Traceback" not in errors


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    """Checks that a command ended with one line of error and nothing else, and returns that line."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_build_says_accuracy_and_leaves_an_unchanged_artifact_alone(cli: Run, artifact: Path) -> None:
    """The second build prints the stored accuracy and touches no file."""
    before = {path: path.stat().st_mtime_ns for path in artifact.rglob("*")}
    done = cli("build", "digits")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"digits v1 unchanged: {artifact} (accuracy {read(artifact).quality.value:.4f}" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in artifact.rglob("*")} == before


def test_build_repairs_and_repeats_itself(built: Built) -> None:
    """A damaged artifact is built again, byte for byte but for files that carry times or a random id."""
    first, second = (read(root / "digits" / "1") for root in (built.first, built.repaired))
    different = {name for name in first.files if first.files[name] != second.files[name]}
    assert {name for name in different if "tfevents" not in name} <= {
        "model_store/digits.mar",
        "saved_model/1/fingerprint.pb",
    }
    assert first.files.keys() == second.files.keys()
    assert second.files == scan(built.repaired / "digits" / "1")


def test_killed_build_is_cleared_away(built: Built) -> None:
    """What a killed build left was removed by the next one."""
    assert sorted(path.name for path in built.first.iterdir()) == [".lock", "digits"]


def test_build_prints_its_own_lines_and_no_others(built: Built) -> None:
    """A line for each stage with its seconds; of the frameworks' start-up messages and warnings nothing."""
    assert (built.done.returncode, built.done.stderr) == (0, "")
    first, *stages, last = built.done.stdout.splitlines()
    assert first == "digits v1: building"
    assert last.startswith("digits v1 built: ")
    patterns = (
        "trained",
        "accuracy",
        "4,096 inputs for load tests",
        "exported the SavedModel",
        "exported the PyTorch form",
        "parity",
        "drew the figures",
        "recorded it for TensorBoard",
    )
    assert len(stages) == len(patterns)
    for line, pattern in zip(stages, patterns, strict=True):
        assert re.match(rf" *\d+\.\d s  {pattern}", line), line


def test_messages_are_silenced_and_settings_are_left_alone() -> None:
    """Warnings of frameworks are dropped, ours are not; what the user set stays, and oneDNN is not touched."""
    script = """if True:
        import os, warnings
        from models.framework_messages import silence_framework_messages

        silence_framework_messages()
        for module in ("torch.nn.modules", "keras.src", "models.digits"):
            warnings.warn_explicit("old", FutureWarning, f"{module}.py", 1, module=module)
        print(os.environ.get("TF_CPP_MIN_LOG_LEVEL"), os.environ.get("TF_ENABLE_ONEDNN_OPTS"))
    """
    for level, expected in ((None, "3 None"), ("0", "0 None")):
        environment = {k: v for k, v in os.environ.items() if k not in ("TF_ENABLE_ONEDNN_OPTS", "PYTHONWARNINGS")}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        environment |= {"TF_CPP_MIN_LOG_LEVEL": level} if level else {}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=REPO, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == expected, done.stderr
        assert done.stderr.splitlines()[0] == "models.digits.py:1: FutureWarning: old"
        assert "torch" not in done.stderr
        assert "keras" not in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_build_leaves_nothing(tmp_path: Path, sent: signal.Signals) -> None:
    """Ctrl-C and SIGTERM in the middle of a build leave neither an artifact nor its beginnings."""
    interrupt_build(tmp_path, sent)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_an_artifact_of_an_earlier_release_is_built_again(root: Path, artifact: Path) -> None:
    """Without being told to; it stays as it is until its successor is whole, also where that never comes."""
    path = artifact / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["input"], manifest["output"] = manifest.pop("inputs")[0], manifest.pop("outputs")[0]
    path.write_text(json.dumps({**manifest, "schema_version": 3}))
    before = {path: path.stat().st_mtime_ns for path in artifact.rglob("*")}
    interrupt_build(root, signal.SIGINT)
    assert {path: path.stat().st_mtime_ns for path in artifact.rglob("*")} == before


def change(artifact: Path) -> None:
    """Puts other bytes into a file."""
    (artifact / "golden" / "outputs" / "probabilities.npy").write_bytes(b"other")


def remove(artifact: Path) -> None:
    """Deletes a file."""
    (artifact / "golden" / "outputs" / "probabilities.npy").unlink()


def add(artifact: Path) -> None:
    """Puts a file where there was none."""
    (artifact / "torch" / "more.py").touch()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (change, "golden/outputs/probabilities.npy is changed"),
        (remove, "golden/outputs/probabilities.npy is missing"),
        (add, "torch/more.py is extra"),
    ],
)
def test_verify_names_the_damaged_file(cli: Run, artifact: Path, damage: Callable[[Path], None], fault: str) -> None:
    """A changed, missing or extra file is named in one line, exit code 1."""
    damage(artifact)
    assert fault in refused(cli("verify"))


def test_verify_repeats_the_parity_check(cli: Run, artifact: Path) -> None:
    """With matching hashes but wrong golden answers the parity check still fails."""
    outputs = np.load(artifact / "golden/outputs/probabilities.npy", allow_pickle=False)
    outputs[5, 2] += 0.5
    np.save(artifact / "golden/outputs/probabilities.npy", outputs, allow_pickle=False)
    content = json.loads((artifact / "manifest.json").read_text())
    entry = scan(artifact)["golden/outputs/probabilities.npy"]
    content["files"]["golden/outputs/probabilities.npy"] = {"sha256": entry.sha256, "bytes": entry.bytes}
    (artifact / "manifest.json").write_text(json.dumps(content))
    assert "saved_model differs from the reference: instance 5, class 2" in refused(cli("verify"))


@pytest.mark.parametrize("command", ["build", "verify"])
def test_unknown_workload_lists_the_known(cli: Run, command: str) -> None:
    """An unknown workload is one line with the names there are."""
    assert "unknown workload 'cats'; known: adaptive, digits" in refused(cli(command, "cats"))


def test_verify_without_artifact_says_how_to_make_it(cli: Run, root: Path) -> None:
    """Nothing built yet: one line with the command."""
    shutil.rmtree(root / "digits")
    assert "python -m models build" in refused(cli("verify"))


def test_artifacts_root_that_is_a_file(cli: Run, root: Path) -> None:
    """A root that cannot be a folder is one line."""
    shutil.rmtree(root)
    root.touch()
    assert str(root) in refused(cli("build", "digits"))


def test_list_tells_the_state(cli: Run, artifact: Path) -> None:
    """Built, outdated and missing artifacts are told apart."""
    assert "digits v1 (built, accuracy 0.9" in cli("list").stdout
    manifest = artifact / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "source_sha256": "0" * 64}))
    assert "digits v1 (outdated, accuracy 0.9" in cli("list").stdout
    shutil.rmtree(artifact)
    assert "digits v1 (not built): Which digit" in cli("list").stdout


def test_byte_code_in_an_artifact_is_no_change(cli: Run, artifact: Path) -> None:
    """Python leaves byte code beside what it imports from an artifact, which is then neither damaged nor outdated."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", "import network"], cwd=artifact / "torch", env=environment, check=True)
    assert (artifact / "torch" / "__pycache__").is_dir()
    for command, told in (("verify", "digits v1 verified"), ("build", "digits v1 unchanged")):
        done = cli(command, "digits")
        assert (done.returncode, done.stderr) == (0, "")
        assert told in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("not json", "cannot be read"),
        ("[]", "not a manifest"),
        ('{"schema_version": 1}', "not a manifest"),
        ({"schema_version": 1}, "schema_version 1"),
        ({"quality": "high"}, "not a manifest"),
        ({"tolerance": "high"}, "tolerance is no float"),
        ({"files": {"a": 3}}, "not a manifest"),
        ({"invented": 1}, "not a manifest"),
    ],
)
def test_damaged_manifest_is_refused(artifact: Path, change: str | dict[str, object], message: str) -> None:
    """A manifest of another schema or with other content is an BrokenArtifactError, never a KeyError."""
    path = artifact / "manifest.json"
    content = change if isinstance(change, str) else json.dumps({**json.loads(path.read_text()), **change})
    path.write_text(content)
    with pytest.raises(BrokenArtifactError, match=message):
        read(artifact)
