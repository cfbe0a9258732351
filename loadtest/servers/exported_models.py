"""Reads what was found out about the exports of models from the folder of a result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.machine.files import read_bytes
from loadtest.records import from_json
from loadtest.servers.exported_model import SCHEMA_VERSION, ExportedModel
from loadtest.servers.told_of_models import told_of_models

DEVICES = "devices"
"""Folder of a result: in it a file WORKLOAD.json for each model."""


def read_exported(result: Path, versions: Mapping[str, Any]) -> tuple[dict[str, ExportedModel], list[str]]:
    """Read what the folder of a result tells of exports.

    Args:
        result: The folder.
        versions: Of each model that was measured, by its name; another version of it is none of them.

    Returns:
        What is told, by the names of the models, and what a reader must know of what could not be read.
    """

    def read(name: str) -> ExportedModel | None:
        path = result / DEVICES / f"{name}.json"
        return read_exported_model(path) if path.is_file() else None

    return told_of_models(versions, read, "exports")


def read_exported_model(path: Path) -> ExportedModel:
    """Read what was found out about the exports of one model.

    Raises:
        UsageError: If the file cannot be read, or is of another release.
    """
    exported = from_json(read_bytes(path), ExportedModel, str(path))
    if exported.schema_version != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema {exported.schema_version}; this release reads {SCHEMA_VERSION}")
    return exported
