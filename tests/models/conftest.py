import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import models
from models import artifact_manifest

Completed = subprocess.CompletedProcess[str]
REPO = Path(models.__file__).parent.parent


def run(root: Path, *arguments: str) -> Completed:
    """Runs `python -m models` over the artifacts in `root`."""
    command = [sys.executable, "-m", "models", *arguments]
    environment = {**os.environ, "BAKEOFF_ARTIFACTS": str(root)}
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)


def real_model(workload: str) -> Path:
    """The artifact of a real model that scripts/test built; the test is skipped where its packages are missing."""
    folder = artifact_manifest.root() / workload / "1"
    if not folder.exists():
        pytest.skip(f"{workload} is not built: python -m models build {workload}")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An artifacts root with a copy of digits as scripts/test built it, free to be damaged."""
    root = tmp_path / "artifacts"
    shutil.copytree(real_model("digits"), root / "digits" / "1", ignore=shutil.ignore_patterns(".blessing"))
    return root


@pytest.fixture
def artifact(root: Path) -> Path:
    """The digits artifact in the copy."""
    return root / "digits" / "1"


@pytest.fixture
def cli(root: Path) -> Callable[..., Completed]:
    """`python -m models` in a process of its own, over the copy."""
    return lambda *arguments: run(root, *arguments)


@pytest.fixture
def workload_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that counts as part of the `models` package for the time of one test."""
    folder = tmp_path / "more_models"
    folder.mkdir()
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("models.") and str(folder) in str(sys.modules[name].__file__):
            del sys.modules[name]
            delattr(models, name.removeprefix("models."))
