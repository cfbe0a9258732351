"""What a comparison depends on beside its plan, as it is here and now."""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from loadtest.judge.method import METHOD
from loadtest.judge.surroundings import Surroundings
from loadtest.machine.host import describe_host
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server


def surroundings(launcher: str, servers: Sequence[Server], software: Mapping[str, str]) -> Surroundings:
    """Describe them.

    Args:
        launcher: Name of the launcher.
        servers: What is compared.
        software: Versions of what the servers run on, by name.
    """
    return Surroundings(
        METHOD,
        launcher,
        describe_host(),
        _own_version(),
        {server.key: _files_sha256(_folders(server)) for server in servers},
        software,
    )


def _own_version() -> str:
    """Of this program; an image has its files, and no package of them."""
    try:
        return importlib.metadata.version("serving-bakeoff")
    except importlib.metadata.PackageNotFoundError:
        return "not installed as a package"


def artifact_sha256(artifact: Artifact) -> str:
    """Digest of a model's manifest, which holds one for every other file of the artifact."""
    return hashlib.sha256(json.dumps(artifact.manifest, sort_keys=True, default=str).encode()).hexdigest()


def _folders(server: Server) -> Iterator[Path]:
    """The folder of a server, and that of the configuration that it is given."""
    yield server.folder
    yield from (value for value in server.names.values() if isinstance(value, Path))


def _files_sha256(folders: Iterator[Path]) -> str:
    """Digest of the names and contents of files; what Python compiles and hidden files do not count."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder)
            if not any(part == "__pycache__" or part.startswith(".") for part in name.parts):
                digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
