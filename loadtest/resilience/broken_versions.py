"""Next versions of a model that must not be served: a corrupt one, and one that is another model."""

import shutil
from dataclasses import replace
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact, built_workloads, load_artifact
from loadtest.servers.server_folder import fill
from loadtest.setup.declared import DeclaredSetup

DAMAGE = 1024
"""Bytes that are overwritten, in the middle of the largest file that the server reads."""


def corrupt(following: Artifact, declared: DeclaredSetup, folder: Path) -> Artifact:
    """A copy of a version whose largest file that the server reads has other bytes in its middle.

    Args:
        following: The sound version.
        declared: Which files the server reads.
        folder: Where the copy goes.

    Raises:
        UsageError: If the server reads none of its files.
    """
    copy = folder / following.version
    shutil.copytree(following.folder, copy)
    context = {"workload": following.workload, "version": following.version}
    read = [path for pattern in declared.artifact_files for path in copy.glob(fill(pattern, context)) if path.is_file()]
    if not read:
        raise UsageError(f"{', '.join(declared.artifact_files)} names no file of {following.folder}")
    largest = max(read, key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        size = largest.stat().st_size
        file.seek(size // 2)
        file.write(b"\xaa" * min(DAMAGE, size - size // 2))
    return replace(following, folder=copy)


def other_model(present: Artifact) -> Artifact | None:
    """The artifact of a model with other outputs; None where none is built."""
    for workload in built_workloads():
        if workload != present.workload:
            other = load_artifact(workload)
            if other.manifest["outputs"] != present.manifest["outputs"]:
                return other
    return None
