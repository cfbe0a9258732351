"""Candidates that may be broken, as a build with a fault would have made them: whole by their own manifest."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from loadtest.servers.artifact import Artifact
from models import artifact_manifest
from release.blessing import FOLDER
from tests.launch.conftest import Obedient, obedient

__all__ = ["Obedient", "obedient"]


@pytest.fixture
def folder(artifact: Artifact, tmp_path: Path) -> Path:
    """A copy of the digits artifact, free to be broken and blessed."""
    target = tmp_path / "artifacts" / artifact.workload / artifact.version
    return shutil.copytree(artifact.folder, target, ignore=shutil.ignore_patterns(FOLDER))


def seal(folder: Path, **changed: object) -> None:
    """Write the manifest anew for what the folder holds now, as the build does at its end."""
    manifest = artifact_manifest.read(folder)
    whole = dataclasses.replace(manifest, files=artifact_manifest.scan(folder), **changed)  # type: ignore[arg-type]
    artifact_manifest.write(folder, whole)
