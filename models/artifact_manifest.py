"""The manifest of an artifact: what it is, how it was made, the sha256 of every file. Needs no framework."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from models.errors import BrokenArtifactError
from models.workload import TensorSpec

SCHEMA_VERSION = 3
FILE = "manifest.json"
REBUILD = "python -m models build --force"


@dataclass(frozen=True)
class FileEntry:
    """Digest (hexadecimal) and size of one file of the artifact."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Contents of manifest.json; the fields are its keys.

    Attributes:
        schema_version: Of this file's layout.
        workload: Name of the workload.
        version: Version of the workload.
        description: What it predicts.
        input: Input tensor, shape per instance.
        output: Output tensor, shape per instance.
        labels: Class names in the order of the output.
        max_instances: How many instances a server accepts in one request.
        seed: Seed of the training.
        accuracy: Share of the held-out examples classified correctly, 0 to 1.
        held_out: Number of held-out examples.
        tolerance: Largest absolute difference to the golden outputs allowed.
        torch_form: Name of the PyTorch form in torch/ and in the .mar.
        versions: Version of everything used, by package name.
        source_sha256: Digest over the sources and versions that decide the artifact.
        golden: Relative paths of the golden inputs, outputs and labels.
        load: Relative paths of the inputs for load tests and of the answers to them; those called fresh are sent by no
            ordinary run.
        files: Every other file of the artifact, by relative path.
    """

    schema_version: int
    workload: str
    version: int
    description: str
    input: TensorSpec
    output: TensorSpec
    labels: tuple[str, ...]
    max_instances: int
    seed: int
    accuracy: float
    held_out: int
    tolerance: float
    torch_form: str
    versions: dict[str, str]
    source_sha256: str
    golden: dict[str, str]
    load: dict[str, str]
    files: dict[str, FileEntry]


def root() -> Path:
    """Return the folder of all artifacts: $BAKEOFF_ARTIFACTS, or `artifacts` in the repository."""
    given = os.environ.get("BAKEOFF_ARTIFACTS")
    return Path(given) if given else Path(__file__).parent.parent / "artifacts"


def write(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` to `folder`/manifest.json."""
    (folder / FILE).write_text(json.dumps(asdict(manifest), indent=2) + "\n")


def read(folder: Path) -> Manifest:
    """Read the manifest of the artifact in `folder`.

    Raises:
        BrokenArtifactError: There is none, or it is not of this schema.
    """
    path = folder / FILE
    try:
        content: Any = json.loads(path.read_text())
    except FileNotFoundError:
        raise BrokenArtifactError(f"no artifact in {folder}; make it with: python -m models build") from None
    except (OSError, ValueError) as error:
        raise BrokenArtifactError(f"{path} cannot be read ({error}): {REBUILD}") from error
    _check_schema(path, content)
    try:
        content["labels"] = tuple(content["labels"])
        for key in ("input", "output"):
            shape = tuple(content[key].pop("shape"))
            content[key] = TensorSpec(shape=shape, **content[key])
        content["files"] = {name: FileEntry(**entry) for name, entry in content["files"].items()}
        manifest = Manifest(**content)
    except (KeyError, TypeError, AttributeError) as error:
        raise BrokenArtifactError(f"{path} is not a manifest of an artifact ({error}): {REBUILD}") from error
    hints = get_type_hints(Manifest)
    for field in fields(Manifest):
        expected = get_origin(hints[field.name]) or hints[field.name]
        if not isinstance(getattr(manifest, field.name), expected):
            raise BrokenArtifactError(f"{path}: {field.name} is no {expected.__name__}: {REBUILD}")
    return manifest


def _check_schema(path: Path, content: Any) -> None:
    fault = ""
    if not isinstance(content, dict):
        fault = f"it holds a {type(content).__name__}"
    elif content.get("schema_version") != SCHEMA_VERSION:
        fault = f"it has schema_version {content.get('schema_version')}, this is {SCHEMA_VERSION}"
    elif unknown := content.keys() - {field.name for field in fields(Manifest)}:
        fault = f"schema_version {SCHEMA_VERSION} has no {', '.join(unknown)}"
    if fault:
        raise BrokenArtifactError(f"{path} is not a manifest of an artifact ({fault}): {REBUILD}")


def scan(folder: Path) -> dict[str, FileEntry]:
    """Hash every file under `folder`, except the manifest itself, names with a leading dot and Python's byte code."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / FILE)
    names = {path: path.relative_to(folder) for path in paths}
    return {
        name.as_posix(): _entry(path.read_bytes())
        for path, name in names.items()
        if not any(part.startswith(".") or part == "__pycache__" for part in name.parts)
    }


def _entry(content: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(content).hexdigest(), len(content))


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare the files on disk with the manifest.

    Raises:
        BrokenArtifactError: Names every missing, changed and extra file.
    """
    actual = scan(folder)
    faults = [f"{name} is missing" for name in manifest.files if name not in actual]
    for name, entry in actual.items():
        if name not in manifest.files:
            faults.append(f"{name} is extra")
        elif entry != manifest.files[name]:
            faults.append(f"{name} is changed")
    if faults:
        raise BrokenArtifactError(f"{folder}: {'; '.join(faults)}: {REBUILD}")
