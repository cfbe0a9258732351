"""result.json: everything a comparison measured, under names that change only with the schema version.

``result.schema.json`` beside this module describes it (JSON Schema, draft 2020-12).
"""

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.experiments.comparison import Comparison, Record, Round
from loadtest.machine.files import write_whole
from loadtest.machine.host import describe_host
from loadtest.report.summary import Row, Versus, pairs, summarise

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).with_name("result.schema.json")
_NUMBERS = re.compile(r"\[\n[-+.,\s\deE]+\]")
ESTIMATES = (
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "throughput_rps",
    "ceiling_rps",
    "cpu_s_per_1000",
    "peak_mib",
    "first_prediction_s",
)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison as plain data."""
    artifact = comparison.artifact
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "comparison",
        "started_at": comparison.started_at,
        "complete": comparison.complete,
        "command": sys.argv[1:],
        "plan": {**asdict(comparison.plan), "common_rate_rps": _number(comparison.rate)},
        "host": describe_host(),
        "launcher": comparison.launcher.describe(),
        "placement": asdict(comparison.launcher.placement),
        "workload": {
            "name": artifact.workload,
            "version": artifact.version,
            "accuracy": artifact.manifest["accuracy"],
            "seed": artifact.manifest["seed"],
            "tolerance": artifact.tolerance,
            "torch_form": artifact.manifest.get("torch_form"),
            "versions": artifact.manifest["versions"],
            "weights_sha256": artifact.manifest["files"]["weights.safetensors"]["sha256"],
        },
        "floor": [asdict(floor) for floor in comparison.floor],
        "summary": [_row(row) for row in summarise(comparison)],
        "ratios": [_versus(versus) for versus in pairs(comparison)],
        "servers": [_record(record) for record in comparison.records],
    }


def write_json(comparison: Comparison, folder: Path) -> Path:
    """Write result.json whole or not at all.

    Returns:
        Its path.

    Raises:
        UsageError: If it cannot be written.
    """
    path = folder / "result.json"
    write_whole(path, dumps(to_json(comparison)))
    return path


def dumps(document: dict[str, Any]) -> str:
    """JSON that a person can read: one name a line, and a list of numbers on one line."""
    text = json.dumps(document, indent=1, allow_nan=False)
    # No string is touched: JSON has no line breaks inside of strings.
    return _NUMBERS.sub(lambda found: "".join(found[0].split()).replace(",", ", "), text) + "\n"


def _number(value: float) -> float | None:
    return None if value != value else value


def _row(row: Row) -> dict[str, Any]:
    plain = {name: value for name, value in vars(row).items() if name not in ESTIMATES}
    return plain | {name: getattr(row, name).to_json() for name in ESTIMATES}


def _versus(versus: Versus) -> dict[str, Any]:
    return {**vars(versus), "ratio": versus.ratio.to_json()}


def _record(record: Record) -> dict[str, Any]:
    server = record.server
    return {
        "key": server.key,
        "label": record.label,
        "runtime": server.runtime,
        "facts": server.facts,
        "started": record.started,
        "effective": record.effective,
        "parity": _parity(record),
        "faults": record.faults,
        "gate_ceiling_rps": _number(record.ceiling_rps),
        "rounds": [_round(one) for one in record.rounds],
        "capacity": record.capacity.to_json() if record.capacity else None,
    }


def _parity(record: Record) -> dict[str, Any] | None:
    if record.parity is None:
        return None
    worst = record.parity.worst
    return {
        "checked": record.parity.checked,
        "worst": worst if worst < float("inf") else None,
        "tolerance": record.parity.tolerance,
        "faults": list(record.parity.faults),
    }


def _round(one: Round) -> dict[str, Any]:
    return {
        "number": one.number,
        "first_prediction_s": _number(one.first_prediction_s),
        "open_loop": one.open_loop.to_json(distribution=True),
        "closed_loop": one.closed_loop.to_json(),
        "open_usage": _usage(one.open_usage),
        "closed_usage": _usage(one.closed_usage),
        "curve": [run.to_json(distribution=True) for run in one.curve],
    }


def _usage(usage: Any) -> dict[str, float | None] | None:
    return None if usage is None else {name: _number(round(value, 4)) for name, value in vars(usage).items()}
