"""The exports of a model that are kept, with what a page or an app must know to ask them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.servers.exported_model import ExportedModel
from models.artifact_manifest import Manifest

SCHEMA_VERSION = 1


def describe(folder: Path, files: Mapping[str, Path], findings: ExportedModel, manifest: Manifest) -> None:
    """Write WORKLOAD.json into the folder of the files.

    Args:
        folder: Where they lie.
        files: By name of the export, those that may be there.
        findings: What was found out about them; what was refused or is wrong is not described, and its file removed.
        manifest: Of the artifact.
    """
    exports: dict[str, Any] = {}
    for one in findings.exports:
        file = files.get(one.name)
        if file is None or not file.exists():
            continue
        if one.refused or one.wrong:
            file.unlink()
            continue
        content = file.read_bytes()
        exports[one.name] = {
            "file": file.name,
            "format": file.suffix.removeprefix("."),
            "batch": 1,
            "lengths": one.lengths or None,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    told = {
        "schema_version": SCHEMA_VERSION,
        "workload": manifest.workload,
        "version": manifest.version,
        "description": manifest.description,
        "inputs": [asdict(spec) for spec in manifest.inputs],
        "outputs": [asdict(spec) for spec in manifest.outputs],
        "labels": list(manifest.labels),
        "weights_sha256": manifest.files["weights.safetensors"].sha256,
        "versions": findings.versions,
        "exports": exports,
    }
    (folder / f"{manifest.workload}.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
