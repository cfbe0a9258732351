"""Reads and checks the manifest of an artifact: what its folder holds, file by file."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FILE = "manifest.json"
SCHEMA_VERSION = 5
SCHEMA_KEYS = (
    "schema_version workload version description inputs outputs labels max_instances max_request_bytes seed quality "
    "tolerance torch_form packaged_files versions source_sha256 golden load fresh pictures files"
)
"""The keys of a manifest of this schema, separated by spaces; a key beyond them may change what the others mean."""
WEIGHTS = "weights.safetensors"
EXAMPLE = "golden/request.json"
EXAMPLES = ("golden", "load", "fresh")
"""The sets of examples."""

Check = Callable[[Any], bool]


class ManifestError(ValueError):
    """What is wrong with a manifest or with the files that it lists, in a few words."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest and check every file of the folder against it.

    A file that the manifest does not list is a fault as well, since a server may serve it unchecked: a higher version
    of the model, for example. Names that begin with a dot, and __pycache__, are passed over.

    Args:
        folder: ``artifacts/<workload>/<version>``.

    Raises:
        ManifestError: If it is no manifest of this schema, or a file is missing, altered or not listed.
    """
    try:
        manifest = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(f"{FILE} cannot be read ({error})") from error
    if not isinstance(manifest, dict):
        raise ManifestError(f"{FILE} must hold a JSON object, not {type(manifest).__name__}")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise ManifestError(f"{FILE} has schema {manifest.get('schema_version')}, not {SCHEMA_VERSION}")
    unknown = manifest.keys() - SCHEMA_KEYS.split()
    if unknown:
        raise ManifestError(f"{FILE} holds what schema {SCHEMA_VERSION} does not: {', '.join(unknown)}")
    for place, what, check in KEYS:
        if not check(_at(manifest, place)):
            raise ManifestError(f"{FILE}: {place} must be {what}")
    listed = manifest["files"]
    sets = [one[key] for one in (manifest, *manifest["pictures"].values()) for key in EXAMPLES]
    for needed in (WEIGHTS, EXAMPLE, *(path for files in sets for path in _example_files(files))):
        if needed not in listed:
            raise ManifestError(f"{FILE} does not list {needed}")
    for name in _present(folder):
        if name not in listed:
            raise ManifestError(f"{FILE} does not list {name}, which is there")
    for name, entry in listed.items():
        _check_file(folder / name, name, entry["sha256"])
    return manifest


def _example_files(files: dict[str, Any]) -> list[str]:
    optional = [path for path in (files["labels"], files["lengths"]) if path is not None]
    return [*files["inputs"].values(), *files["outputs"].values(), *optional]


_MISSING = object()


def _at(manifest: dict[str, Any], place: str) -> Any:
    value: Any = manifest
    for key in place.split("."):
        value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _present(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        passed_over = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not passed_over and parts != (FILE,):
            yield "/".join(parts)


def _check_file(path: Path, name: str, expected: str) -> None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # ValueError: no name that this system can encode
        raise ManifestError(f"{name} is missing or unreadable") from error
    if digest != expected:
        raise ManifestError(f"{name} was altered since it was built (sha256 differs)")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max  # neither nan nor inf, nor an int that is no float


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and value.isprintable()


def _are_file_names(value: Any) -> bool:
    return isinstance(value, dict) and value != {} and all(map(_is_file_name, value.values()))


def _is_file_name_or_none(value: Any) -> bool:
    return value is None or _is_file_name(value)


def _are_tensors(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(_is_tensor, value))


def _is_tensor(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("name"))
        and _is_text(value.get("dtype"))
        and isinstance(value.get("shape"), list)
        and all(size is None or _is_whole(size) for size in value["shape"])
    )


def _are_pictures(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(sets, dict) and sets.keys() == set(EXAMPLES) and all(map(_is_example_set, sets.values()))
        for sets in value.values()
    )


def _is_example_set(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(_are_file_names(value.get(side)) for side in ("inputs", "outputs"))
        and all(_is_file_name_or_none(value.get(one, 0)) for one in ("labels", "lengths"))
    )


def _are_files(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_file_name(name) and isinstance(entry, dict) and _is_text(entry.get("sha256"))
        for name, entry in value.items()
    )


KEYS: list[tuple[str, str, Check]] = [
    ("workload", "a string", _is_text),
    ("version", "a whole number", _is_whole),
    ("tolerance", "a number above 0", lambda value: _is_number(value) and value > 0),
    ("max_instances", "a whole number above 0", lambda value: _is_whole(value) and value > 0),
    ("quality", "a table", lambda value: isinstance(value, dict)),
    ("quality.name", "a string", _is_text),
    ("quality.value", "a number", _is_number),
    ("seed", "a whole number", _is_whole),
    ("versions", "a table", lambda value: isinstance(value, dict)),
    ("inputs", "a list of tensors", _are_tensors),
    ("outputs", "a list of tensors", _are_tensors),
    *((key, "a table of files", lambda value: isinstance(value, dict)) for key in EXAMPLES),
    *(
        (f"{key}.{side}", "a table of names of files", _are_file_names)
        for key in EXAMPLES
        for side in ("inputs", "outputs")
    ),
    *(
        (f"{key}.{one}", "the name of a file, or null", _is_file_name_or_none)
        for key in EXAMPLES
        for one in ("labels", "lengths")
    ),
    ("pictures", "a table of sets of examples by the formats of pictures", _are_pictures),
    ("files", "a table of files by their names, each with its sha256", _are_files),
]
"""What this package reads of a manifest; the other keys are for others."""
