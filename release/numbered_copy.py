"""A copy of an artifact under another version number: the same model, whose files say the number that it is served by.

The number stands in few places: the manifest, the folder of the SavedModel, what the PyTorch form says of itself, and
the same with TorchServe's own manifest inside of the archive. Nothing else is touched, and a copy under the artifact's
own number is the same in every byte.
"""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from loadtest.servers.manifest import FILE, ManifestError, read_manifest
from release.candidate import Candidate, manifest_sha256
from release.errors import ReleaseError

FORM = "torch/workload.json"
VERSION = ("version",)
IN_ARCHIVE = {"MAR-INF/MANIFEST.json": ("model", "modelVersion"), "workload.json": VERSION}
"""Where the version stands in an archive: the keys that lead to it, by the file."""


def copy_numbered(candidate: Candidate, target: Path, version: int) -> None:
    """Copy what the manifest of an artifact lists, check the copy and have it on the disk.

    Args:
        candidate: The model.
        target: Folder of the copy, created.
        version: Its number there.

    Raises:
        ReleaseError: If the copy is not what its manifest says, or the model was built anew meanwhile.
        OSError: If it cannot be written, for example on a full disk.
    """
    artifact = candidate.artifact
    for name in (*artifact.manifest["files"], FILE):
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.folder / name, copy)
    if manifest_sha256(target) != candidate.manifest_sha256:
        raise ReleaseError(f"{artifact.folder} was built anew meanwhile: bless it again")
    if str(version) != artifact.version:
        _renumber(target, artifact.workload, artifact.version, version)
    try:
        read_manifest(target)
    except ManifestError as error:
        raise ReleaseError(f"the copy of {artifact.folder} is not whole: {error}") from error
    for path in [*target.rglob("*"), target]:
        sync(path)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _renumber(folder: Path, workload: str, old: str, version: int) -> None:
    manifest = json.loads((folder / FILE).read_bytes())
    manifest["version"] = version
    saved, numbered = f"saved_model/{old}/", f"saved_model/{version}/"
    (folder / saved).rename(folder / numbered)
    files = {name.replace(saved, numbered, 1): entry for name, entry in manifest["files"].items()}
    archive = f"model_store/{workload}.mar"
    for name in (FORM, archive):
        if name in files:
            path = folder / name
            if name == FORM:
                path.write_bytes(_with_version(path.read_bytes(), VERSION, version))
            else:
                _renumber_archive(path, version)
            content = path.read_bytes()
            files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest["files"] = files
    (folder / FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _renumber_archive(path: Path, version: int) -> None:
    draft = path.with_name(f".{path.name}.part")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(draft, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename in IN_ARCHIVE:
                content = _with_version(content, IN_ARCHIVE[entry.filename], version)
            new.writestr(entry, content)  # of the same name, time and compression
    draft.replace(path)


def _with_version(content: bytes, keys: tuple[str, ...], version: int) -> bytes:
    """A JSON document with another version at the end of some keys, of the type that it has there."""
    document: Any = json.loads(content)
    table = document
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = type(table[keys[-1]])(version)
    return json.dumps(document, indent=2).encode() + b"\n"
