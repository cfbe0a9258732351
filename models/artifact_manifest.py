"""The manifest of an artifact: what it is, how it was made, the sha256 of every file. Needs no framework."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from models.errors import BrokenArtifactError
from models.example_files import ExampleFiles, PictureFiles
from models.packaged_file import PackagedFile
from models.tensors import TensorSpec

SCHEMA_VERSION = 5
FILE = "manifest.json"
REBUILD = "python -m models build --force"


@dataclass(frozen=True)
class FileEntry:
    """Digest (hexadecimal) and size of one file of the artifact."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class MeasuredQuality:
    """How good the model is.

    Attributes:
        name: What the figure is called, such as ``accuracy``.
        value: On the held-out examples.
        at_least: What the workload promises.
        examples: Number of held-out examples.
    """

    name: str
    value: float
    at_least: float
    examples: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Contents of manifest.json; the fields are its keys.

    Attributes:
        schema_version: Of this file's layout.
        workload: Name of the workload.
        version: Version of the workload.
        description: What it predicts.
        inputs: Input tensors, shapes per instance.
        outputs: Output tensors, shapes per instance.
        labels: Class names in the order of the output's scores; empty where there are no classes.
        max_instances: How many instances a server accepts in one request.
        max_request_bytes: How large a body a server accepts.
        seed: Seed of the training.
        quality: How good the model is on held-out examples.
        tolerance: Largest absolute difference to the golden outputs allowed in a floating-point output.
        torch_form: Name of the PyTorch form in torch/ and in the .mar.
        packaged_files: Weights and data that come with a package; their licences count.
        versions: Version of everything used, by package name.
        source_sha256: Digest over the sources and versions that decide the artifact.
        golden: Files of the few examples that every server must answer like the reference.
        load: Files of the many inputs that load tests send.
        fresh: Files of further ones, sent by no ordinary run.
        pictures: By format (``png``, ``jpeg``), files of encoded pictures; none where the model takes no pictures.
        files: Every other file of the artifact, by relative path.
    """

    schema_version: int
    workload: str
    version: int
    description: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: tuple[str, ...]
    max_instances: int
    max_request_bytes: int
    seed: int
    quality: MeasuredQuality
    tolerance: float
    torch_form: str
    packaged_files: tuple[PackagedFile, ...]
    versions: dict[str, str]
    source_sha256: str
    golden: ExampleFiles
    load: ExampleFiles
    fresh: ExampleFiles
    pictures: dict[str, PictureFiles]
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
        for key in ("inputs", "outputs"):
            content[key] = tuple(map(_tensor_spec, content[key]))
        content["packaged_files"] = tuple(PackagedFile(**file) for file in content["packaged_files"])
        content["quality"] = MeasuredQuality(**content["quality"])
        for key in ("golden", "load", "fresh"):
            content[key] = ExampleFiles(**content[key])
        content["pictures"] = {name: PictureFiles.read(sets) for name, sets in content["pictures"].items()}
        content["files"] = {name: FileEntry(**entry) for name, entry in content["files"].items()}
        manifest = Manifest(**content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenArtifactError(f"{path} is not a manifest of an artifact ({error}): {REBUILD}") from error
    hints = get_type_hints(Manifest)
    for field in fields(Manifest):
        expected = get_origin(hints[field.name]) or hints[field.name]
        if not isinstance(getattr(manifest, field.name), expected):
            raise BrokenArtifactError(f"{path}: {field.name} is no {expected.__name__}: {REBUILD}")
    return manifest


def _tensor_spec(content: dict[str, Any]) -> TensorSpec:
    lists = {key: None if content[key] is None else tuple(content[key]) for key in ("shape", "lengths")}
    return TensorSpec(**{**content, **lists})


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
