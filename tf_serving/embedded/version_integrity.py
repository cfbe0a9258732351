"""What the manifest of a built artifact says of a version: the digests of its files, and how large a request may be.

`python -m models build` writes saved_model/<version>/ and, beside saved_model, manifest.json. A SavedModel from
anywhere else has no such neighbour, or one that does not list it, and is served as it is.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tf_serving.embedded.errors import Code, ServingError

MANIFEST = "manifest.json"
SCHEMA_VERSION = 5
SCHEMA_KEYS = (
    "schema_version workload version description inputs outputs labels max_instances max_request_bytes seed quality "
    "tolerance torch_form packaged_files versions source_sha256 golden load fresh pictures files"
)
"""The keys of a manifest of this schema, separated by spaces; a key beyond them may change what the others mean."""


def check(version: Path) -> int | None:
    """Compare the files of a version with the artifact's manifest.

    Args:
        version: The folder of the version.

    Returns:
        How many instances a request may have, or None when no manifest says so.

    Raises:
        ServingError: A file is missing or altered, or the manifest that lists it is of another schema or unreadable.
    """
    base = version.parent.resolve()
    manifest = _read(base.parent / MANIFEST)
    prefix = f"{base.name}/{version.name}/"
    listed = {name: entry for name, entry in _object(manifest.get("files")).items() if name.startswith(prefix)}
    if listed:
        _check_schema(base.parent / MANIFEST, manifest)
    for name, entry in listed.items():
        try:
            with (version / name.removeprefix(prefix)).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _damaged(f"{version / name.removeprefix(prefix)} cannot be read ({error.strerror})") from error
        if found != _object(entry).get("sha256"):
            raise _damaged(f"{version / name.removeprefix(prefix)} is not the file that {base.parent / MANIFEST} lists")
    limit = manifest.get("max_instances") if listed else None
    return limit if type(limit) is int and limit > 0 else None


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _damaged(f"{path} cannot be read ({error})") from error
    return _object(manifest)


def _check_schema(path: Path, manifest: dict[str, Any]) -> None:
    version, unknown = manifest.get("schema_version"), manifest.keys() - SCHEMA_KEYS.split()
    if version != SCHEMA_VERSION:
        raise _damaged(f"{path} has schema {version}, not {SCHEMA_VERSION}")
    if unknown:
        raise _damaged(f"{path} holds what schema {version} does not: {', '.join(unknown)}")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _damaged(what: str) -> ServingError:
    return ServingError(Code.DATA_LOSS, f"{what}; build it again: python -m models build --force", lasting=True)
