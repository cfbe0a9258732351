"""What lies in a push target after each thing that can happen to it."""

import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.servers.artifact import artifacts_root, load_artifact
from models import artifact_manifest
from release.errors import RefusedError, TargetError
from release.push import Pushed, push
from release.push_target import MARKER, SERVING, STAGING, WITHDRAWN, open_target
from tests.release.conftest import blessed, seal

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("flask_server", "tf_serving", "torchserve")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where to; not there yet."""
    return tmp_path / "served"


def pushed(folder: Path, target: Path, **options: float) -> Pushed:
    """Pushes the artifact in a folder, blessed by all."""
    with open_target(target, "digits") as opened:
        return push(blessed(folder, *SERVERS), opened, SERVERS, **options)  # type: ignore[arg-type]


def push_again(folder: Path, target: Path, seed: int) -> Pushed:
    """Pushes what another training could have made."""
    seal(folder, seed=seed)
    return pushed(folder, target)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m models push`."""
    whole = [sys.executable, "-m", "models", "push", *words]
    return subprocess.run(whole, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Each path below a folder with its inode and content, or where it leads."""
    found = {}
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_ino, content)
    return found


def served(target: Path) -> list[str]:
    """The versions that TensorFlow Serving sees, each of which can be read."""
    base = target / "digits" / SERVING / "saved_model"
    assert all((one / "saved_model.pb").is_file() for one in base.iterdir())
    return sorted(one.name for one in base.iterdir())


def test_a_push_is_the_artifact_and_where_each_server_looks(folder: Path, target: Path) -> None:
    """Byte for byte under its own number, for Flask; by links for TensorFlow Serving and TorchServe."""
    made = pushed(folder, target)
    assert (made.made, made.record.version, made.before) == (True, 1, None)
    assert made.record.blessed_by == {server: f"the {server}" for server in SERVERS}
    home = target / "digits"
    assert load_artifact("digits", target).folder == home / "1"
    assert artifact_manifest.scan(home / "1") == artifact_manifest.scan(folder)
    assert served(target) == ["1"]
    archive = (folder / "model_store" / "digits.mar").read_bytes()
    for name in ("digits.mar", "digits-1.mar"):
        assert (home / SERVING / "model_store" / name).read_bytes() == archive
    assert (home / SERVING / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert not [path for path in target.rglob("*") if path.name.endswith(".part") or path.name.startswith(STAGING)]


def test_a_target_can_be_moved(folder: Path, target: Path, tmp_path: Path) -> None:
    """The links lead to folders beside them, so that a container may have it elsewhere."""
    pushed(folder, target)
    assert served(target.rename(tmp_path / "moved")) == ["1"]


def test_the_same_artifact_is_pushed_once(folder: Path, target: Path) -> None:
    """A second push of what is the newest changes nothing."""
    pushed(folder, target)
    before = everything(target)
    again = pushed(folder, target)
    assert (again.made, again.record.version) == (False, 1)
    assert everything(target) == before


def test_what_is_built_as_version_1_again_is_pushed_as_version_2(folder: Path, target: Path) -> None:
    """Each place that says the number says the new one; the copy is whole by its own manifest."""
    pushed(folder, target)
    made = push_again(folder, target, seed=1)
    assert (made.record.version, made.record.built_as, made.before) == (2, "1", 1)
    artifact = load_artifact("digits", target)
    assert artifact.version == "2"
    assert json.loads((made.folder / "torch" / "workload.json").read_text())["version"] == 2
    with zipfile.ZipFile(target / "digits" / SERVING / "model_store" / "digits-2.mar") as archive:
        assert json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]["modelVersion"] == "2"
        assert json.loads(archive.read("workload.json"))["version"] == 2
        assert archive.testzip() is None
    assert served(target) == ["1", "2"]
    assert (made.folder / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()


def test_older_versions_go_and_numbers_do_not_come_again(folder: Path, target: Path) -> None:
    """Two are kept; after a rollback the next push has a number of its own."""
    for seed in (1, 2, 3):
        seal(folder, seed=seed)
        last = pushed(folder, target, keep=2)
    assert last.removed == (1,)
    assert served(target) == ["2", "3"]
    home = target / "digits"
    assert sorted(path.name for path in home.iterdir()) == ["2", "3", SERVING]
    with open_target(target, "digits") as opened:
        assert opened.withdraw() == (3, 2)
    assert served(target) == ["2"]
    assert (home / WITHDRAWN / "3" / "manifest.json").is_file()
    assert (home / SERVING / "manifest.json").resolve() == home / "2" / "manifest.json"
    assert push_again(folder, target, seed=4).record.version == 4
    assert served(target) == ["2", "4"]
    assert not (home / WITHDRAWN).exists()


def test_there_is_nothing_before_the_first_version(folder: Path, target: Path) -> None:
    """The only version stays."""
    pushed(folder, target)
    done = command("digits", "--to", str(target), "--rollback")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {target}/digits: version 1 is the only one, so there is nothing to go back to\n"
    assert served(target) == ["1"]


def test_a_rollback_says_how_each_server_comes_back(folder: Path, target: Path) -> None:
    """By itself, by a signal, or by requests to its management API."""
    pushed(folder, target)
    push_again(folder, target, seed=1)
    done = command("digits", "--to", str(target), "--rollback")
    assert done.returncode == 0, done.stderr
    first, *told = done.stdout.splitlines()
    assert first == f"digits: version 2 is taken away, version 1 is the newest: {target}/digits/1"
    assert told == [
        "  Flask + granian (torch): SIGHUP to its main process",
        "  TensorFlow Serving: looks for it by itself",
        "  TorchServe: PUT :8081/models/digits/1/set-default, then DELETE :8081/models/digits/2",
    ]


def test_only_what_is_blessed_by_all_is_pushed(folder: Path, target: Path) -> None:
    """Nothing is made of a target that was not there, and fewer servers may be asked for."""
    blessed(folder, "flask_server")
    done = command("--artifact", str(folder), "--to", str(target))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: digits v1 is not pushed to {target}/digits: tf_serving: not validated since it was built "
        "(python -m models bless); "
        "torchserve: not validated since it was built (python -m models bless)\n"
    )
    assert not target.exists()
    done = command("--artifact", str(folder), "--to", str(target), "--servers", "flask_server")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"digits v1 pushed as version 1: {target}/digits/1",
        "  blessed by the flask_server",
    ]


def _worse(folder: Path) -> None:
    manifest = artifact_manifest.read(folder)
    seal(folder, quality=replace(manifest.quality, value=manifest.quality.value - 0.01))


def _other_labels(folder: Path) -> None:
    labels = artifact_manifest.read(folder).labels
    seal(folder, labels=labels[::-1])


def _other_input(folder: Path) -> None:
    manifest = artifact_manifest.read(folder)
    seal(folder, outputs=(replace(manifest.outputs[0], shape=(1, 10)),), max_instances=8)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_worse, r"accuracy 0\.\d{4} is 0\.0100 below .* standard error 0\.\d{4}\); --max-drop 0\.01 lets it pass"),
        (_other_labels, r"labels: 10 \(9 to 0\), not 10 \(0 to 9\)"),
        (_other_input, r"output probabilities: shape is \[1, 10\], not \[10\]; max_instances is 8, less than"),
    ],
)
def test_what_would_break_its_clients_is_refused(folder: Path, target: Path, spoil: object, told: str) -> None:
    """A worse model and another interface: the reason is told, and nothing changes."""
    pushed(folder, target)
    before = everything(target)
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(RefusedError, match=told):
        pushed(folder, target)
    assert everything(target) == before


def test_a_drop_that_is_allowed_is_pushed(folder: Path, target: Path) -> None:
    """As much as the refusal had said."""
    pushed(folder, target)
    _worse(folder)
    assert pushed(folder, target, max_drop=0.01).record.version == 2


@pytest.mark.parametrize("content", ["notes.txt", ".git", "a file"])
def test_what_is_somebody_elses_is_left_alone(folder: Path, target: Path, content: str) -> None:
    """A folder with something else in it, and what is no folder."""
    if content == "a file":
        target.touch()
    else:
        target.mkdir()
        (target / content).touch()
    with pytest.raises(TargetError, match="name a new or an empty one"):
        pushed(folder, target)
    assert not (target / MARKER).exists()


def test_two_pushes_at_once(folder: Path, target: Path) -> None:
    """The second one, of another process, is told so at once and changes nothing; afterwards it may."""
    blessed(folder, *SERVERS)
    words = ("--artifact", str(folder), "--to", str(target))
    with open_target(target, "digits"):
        done = command(*words)
        assert done.returncode == 1
        assert done.stderr == f"error: another push into {target} is under way: try again when it has ended\n"
    assert command(*words).returncode == 0
    assert served(target) == ["1"]


def test_a_push_that_was_killed_is_finished_or_cleared_away(folder: Path, target: Path) -> None:
    """A version whose links are missing gets them; a copy that was not whole goes."""
    pushed(folder, target)
    push_again(folder, target, seed=1)
    home = target / "digits"
    (home / SERVING / "saved_model" / "2").unlink()
    (home / f"{STAGING}killed" / "3").mkdir(parents=True)
    with open_target(target, "digits") as opened:
        assert opened.versions == [1, 2]
    assert served(target) == ["1", "2"]
    assert not list(home.glob(f"{STAGING}*"))


def test_a_damaged_version_is_no_measure(folder: Path, target: Path) -> None:
    """What was pushed last and altered since is told, with what to do."""
    pushed(folder, target)
    (target / "digits" / "1" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(TargetError, match=r"weights.safetensors was altered .*; --rollback takes it away"):
        push_again(folder, target, seed=1)


def test_a_copy_that_does_not_fit_leaves_nothing(folder: Path, target: Path) -> None:
    """Into a new target and into one that holds a version: it is as it was, and takes the next push."""
    before_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    blessed(folder, *SERVERS)
    for versions in ([], ["1"]):
        before = everything(target)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before_limit[1]))
        try:
            with pytest.raises(TargetError, match=r"cannot push to .*: File too large; it is as it was"):
                pushed(folder, target)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before_limit)
        assert everything(target) == before
        assert target.exists() == bool(versions)
        pushed(folder, target)
        seal(folder, seed=9)


@pytest.fixture
def small_disk(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A file system that has room for one version and a half."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size * 3 // 2}", "tmpfs", str(mounted)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here, which takes root")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_full_disk_in_mid_push(folder: Path, small_disk: Path) -> None:
    """One line says so; the version that was there is served on, and no part of the other one is left."""
    target = small_disk / "served"
    pushed(folder, target)
    seal(folder, seed=1)
    blessed(folder, *SERVERS)
    before = everything(small_disk)
    done = command("--artifact", str(folder), "--to", str(target))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: cannot push to {target}/digits: No space left on device; it is as it was\n"
    assert everything(small_disk) == before
    assert served(target) == ["1"]


def test_an_artifact_is_as_it_was(folder: Path, target: Path) -> None:
    """What is built stays in its place, and its blessing with it; a push copies."""
    before = everything(folder)
    pushed(folder, target)
    after = everything(folder)
    assert before.items() <= after.items()
    assert artifacts_root() not in target.parents
