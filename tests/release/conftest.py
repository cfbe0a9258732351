"""Candidates that may be broken, as a build with a fault would have made them: whole by their own manifest."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.servers.artifact import Artifact
from models import artifact_manifest
from release.blessing import FOLDER, Blessing, write_blessing
from release.candidate import Candidate, read_candidate
from tests.launch.conftest import Obedient, obedient

__all__ = ["Obedient", "obedient"]


def unblessed_copy(artifact: Artifact, place: Path) -> Path:
    """A copy of an artifact without what was found of it, in an artifacts root of its own."""
    target = place / "artifacts" / artifact.workload / artifact.version
    return shutil.copytree(artifact.folder, target, ignore=shutil.ignore_patterns(FOLDER))


@pytest.fixture
def folder(artifact: Artifact, tmp_path: Path) -> Path:
    """A copy of the digits artifact, free to be broken and blessed."""
    return unblessed_copy(artifact, tmp_path)


WAIT_S = 120.0
"""How long a test waits for what has to come; nothing is measured by it."""


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def seal(folder: Path, **changed: object) -> None:
    """Write the manifest anew for what the folder holds now, as the build does at its end."""
    manifest = artifact_manifest.read(folder)
    whole = dataclasses.replace(manifest, files=artifact_manifest.scan(folder), **changed)  # type: ignore[arg-type]
    artifact_manifest.write(folder, whole)


def blessed(folder: Path, *servers: str) -> Candidate:
    """The artifact in a folder with the verdict of servers that were not started: what a push reads."""
    candidate = read_candidate("digits", folder)
    for server in servers:
        verdict = Blessing(
            blessed=True,
            reasons=(),
            server=server,
            label=f"the {server}",
            stands_in_for="",
            launcher="local",
            server_cores=(),
            software={},
            workload=candidate.artifact.workload,
            version=candidate.artifact.version,
            manifest_sha256=candidate.manifest_sha256,
            at="2026-11-27T12:00:00+00:00",
            load_s=1.0,
            first_answer_s=1.0,
            wires=("rest",),
            golden=1,
            smoke=1,
            largest_difference=0.0,
            tolerance=1e-5,
        )
        write_blessing(candidate, verdict)
    return candidate
