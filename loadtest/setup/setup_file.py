"""setup.json: everything that was found, under names that change only with the schema version.

``setup.schema.json`` beside this module describes it (JSON Schema, draft 2020-12).
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.machine.files import write_whole
from loadtest.machine.host import describe_host
from loadtest.setup.cold_start import ColdStart
from loadtest.setup.disk_size import DiskSize, ImageSize
from loadtest.setup.idle_processes import IdleProcesses
from loadtest.setup.measure_setup import Record, Setup
from loadtest.setup.probes.capability import CAPABILITIES, CapabilityCell
from loadtest.setup.start_times import Spread, StartTimes
from loadtest.setup.written_files import KINDS, WrittenByHand

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).with_name("setup.schema.json")
STAGES = ("port_open", "ready", "first_correct")


def to_json(setup: Setup) -> dict[str, Any]:
    """The whole measurement as plain data."""
    artifact = setup.launcher.artifact
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "setup",
        "date": setup.date,
        "command": sys.argv[1:],
        "plan": dataclasses.asdict(setup.plan),
        "host": describe_host(),
        "launcher": setup.launcher.describe(),
        "workload": {"name": artifact.workload, "version": artifact.version},
        "servers": {record.server.key: _record(record) for record in setup.records},
        "weighted": None,
    }


def write_setup(document: dict[str, Any], path: Path) -> None:
    """Write the document whole or not at all.

    Raises:
        UsageError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _record(record: Record) -> dict[str, Any]:
    stands_in_for = record.launch.stands_in_for if record.launch else ""
    return {
        "label": record.label,
        "stands_in_for": stands_in_for or None,
        "runtime": record.server.runtime,
        "faults": record.faults,
        "timeline": {"warm": _warm(record.starts), "cold": _cold(record.cold)},
        "size": {**_size(record.size), "image": _image(record.image)},
        "written": _written(record.written),
        "moving_parts": _moving(record.moving),
        "capabilities": [_cell(cell, stand_in=bool(stands_in_for)) for cell in record.cells],
        "facts": [{**vars(fact), "date": fact.date.isoformat()} for fact in record.facts],
    }


def _warm(starts: Sequence[StartTimes]) -> dict[str, Any] | None:
    if not starts:
        return None
    runs = [{stage: _seconds(getattr(start, stage)) for stage in STAGES} for start in starts]
    stages = {stage: _spread([run[stage] for run in runs if run[stage] is not None]) for stage in STAGES}
    return {"runs": runs, "stages": stages, **(stages["first_correct"] or {})}


def _spread(values: Sequence[Any]) -> dict[str, float] | None:
    return {name: round(value, 3) for name, value in vars(Spread.of(values)).items()} if values else None


def _seconds(value: float) -> float | None:
    return None if value != value else round(value, 3)


def _cold(cold: ColdStart | None) -> dict[str, Any] | None:
    if cold is None:
        return None
    return {
        "stages": [{"stage": stage.name, "seconds": round(stage.seconds, 3)} for stage in cold.stages],
        "seconds": round(cold.seconds, 3),
        "clean_cache": cold.clean_cache,
        "notes": list(cold.notes),
    }


def _size(size: DiskSize) -> dict[str, Any]:
    closure = size.packages
    return {
        "packages": closure
        and {
            "extra": size.extra,
            "count": len(closure.packages),
            "bytes": closure.bytes,
            "missing": list(closure.missing),
            "packages": [dataclasses.asdict(package) for package in closure.packages],
        },
        "program": size.program
        and {
            "executable": size.program.executable,
            "bytes": size.program.bytes,
            "files": [dataclasses.asdict(file) for file in size.program.files],
        },
        "artifact": {**dataclasses.asdict(size.artifact), "patterns": list(size.artifact.patterns)},
    }


def _image(image: ImageSize | None) -> dict[str, Any] | None:
    if image is None:
        return None
    note = image.note or "the compressed size is known to a registry only, and not to the engine"
    return {"name": image.name, "bytes": image.bytes, "compressed_bytes": None, "note": note}


def _written(written: WrittenByHand) -> dict[str, Any]:
    kinds = {kind: [file for file in written.files if file.kind == kind] for kind in KINDS}
    return {
        "files": [dataclasses.asdict(file) for file in written.files],
        "by_kind": {kind: {"files": len(files), "lines": written.lines(kind)} for kind, files in kinds.items()},
        "lines": written.lines(),
        "keys_set": written.keys,
        "keys_changed": written.changed,
        "flags": list(written.flags),
        "environment": list(written.environment),
        "commands": list(written.commands),
    }


def _moving(moving: IdleProcesses | None) -> dict[str, Any] | None:
    return None if moving is None else {**dataclasses.asdict(moving), "ports": [vars(one) for one in moving.ports]}


def _cell(cell: CapabilityCell, *, stand_in: bool) -> dict[str, Any]:
    return {
        "capability": cell.capability,
        "title": CAPABILITIES[cell.capability],
        "supported": cell.supported,
        "stand_in": stand_in and not cell.looked_up,
        "setting": cell.setting,
        "note": cell.note,
        "evidence": [vars(exchange) for exchange in cell.evidence],
    }
