"""An artifact that is to be released, and the digest that says that it is this very one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from loadtest.servers.artifact import Artifact, load_artifact, read_artifact
from loadtest.servers.manifest import FILE


@dataclass(frozen=True)
class Candidate:
    """A built model whose files were compared with its manifest.

    Attributes:
        artifact: The model.
        manifest_sha256: Of manifest.json as it lies there. The manifest holds the sha256 of every other file, so two
            artifacts with the same digest are the same in every byte that a server reads.
    """

    artifact: Artifact
    manifest_sha256: str

    @property
    def name(self) -> str:
        """Workload and version, as a line of output calls it: ``digits v1``."""
        return f"{self.artifact.workload} v{self.artifact.version}"

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.artifact.folder


def read_candidate(workload: str, folder: Path | None = None) -> Candidate:
    """Read the newest version of a workload, or the artifact in a folder, and check all of its files.

    Args:
        workload: For example ``digits``; not used where a folder is given.
        folder: ``artifacts/<workload>/<version>``.

    Raises:
        ArtifactError: If there is none, or a file is missing, altered or not listed.
    """
    artifact = load_artifact(workload) if folder is None else read_artifact(folder)
    return Candidate(artifact, manifest_sha256(artifact.folder))


def manifest_sha256(folder: Path) -> str:
    """The digest of an artifact's manifest."""
    return hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
