"""Bytes that a server needs on disk: its packages, its part of the artifact, its image."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server, fill
from loadtest.setup.declared import DeclaredSetup
from loadtest.setup.installed_packages import InstalledPackages, packages_of_extra
from loadtest.setup.installed_program import InstalledProgram
from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding

DOCKER_S = 20.0


@dataclass(frozen=True)
class ArtifactSize:
    """The part of the artifact that a server reads."""

    patterns: tuple[str, ...]
    files: int
    bytes: int


@dataclass(frozen=True)
class ImageSize:
    """The server's image in compose.yaml.

    Attributes:
        name: Name and tag; empty where compose does not say.
        bytes: Its layers, unpacked, as they lie on disk; None where the image is not on this machine. The compressed
            size is known to a registry alone.
        note: Why there is no figure; None where there is one.
    """

    name: str
    bytes: int | None
    note: SetupFinding | None = None


@dataclass(frozen=True)
class DiskSize:
    """What a server needs on disk.

    Attributes:
        packages: The packages that its extra leads to; None where the server has none of its own.
        artifact: Its part of the artifact.
        program: Its executable and libraries, where it is a program of its own, read while it ran; else None.
        image: Its image; None where it was not looked for.
    """

    packages: InstalledPackages | None
    artifact: ArtifactSize
    program: InstalledProgram | None = None
    image: ImageSize | None = None


def measure_size(declared: DeclaredSetup, artifact: Artifact) -> DiskSize:
    """Measure what a server needs on disk.

    Raises:
        UsageError: If the extra is not in pyproject.toml, or a pattern cannot be filled in.
    """
    return DiskSize(
        packages=packages_of_extra(declared.extra) if declared.extra else None,
        artifact=_artifact_size(declared, artifact),
    )


def _artifact_size(declared: DeclaredSetup, artifact: Artifact) -> ArtifactSize:
    context = {"workload": artifact.workload, "version": artifact.version}
    patterns = tuple(fill(pattern, context) for pattern in declared.artifact_files)
    found = {path for pattern in patterns for path in artifact.folder.glob(pattern) if path.is_file()}
    return ArtifactSize(patterns, len(found), sum(path.stat().st_size for path in found))


def image_size(server: Server) -> ImageSize:
    """Measure the server's image, where there is an engine that has it; its containers need not run."""
    if shutil.which("docker") is None:
        return ImageSize("", None, finding(SetupCode.NO_DOCKER))
    config = _docker("compose", "config", "--format", "json")
    if config is None:
        return ImageSize("", None, finding(SetupCode.COMPOSE_NOT_READ))
    document = json.loads(config)
    service = document.get("services", {}).get(server.compose_service)
    if service is None:
        return ImageSize("", None, finding(SetupCode.NO_COMPOSE_SERVICE, service=server.compose_service))
    name = service.get("image") or f"{document['name']}-{server.compose_service}"
    size = _docker("image", "inspect", "--format", "{{.Size}}", name)
    if size is None:
        return ImageSize(name, None, finding(SetupCode.IMAGE_NOT_HERE))
    return ImageSize(name, int(size))


def _docker(*words: str, folder: Path = ROOT) -> str | None:
    """The output of a docker command, or None where it failed."""
    try:
        done = subprocess.run(
            ["docker", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=DOCKER_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
