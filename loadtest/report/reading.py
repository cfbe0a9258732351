"""Reads result.json: what every table, figure and page is made from."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.judge import schema_1, schema_2
from loadtest.judge.comparison_result import KIND, SCHEMA_VERSION, ComparisonResult
from loadtest.judge.intervals import Estimate
from loadtest.machine.files import write_whole
from loadtest.records import from_json, to_json
from loadtest.setup.setup_file import EaseOfSetup, read_setup

RESULT = "result.json"
SETUP = "setup.json"
FAILED = "failed"
"""What is told in place of an infinite percentile: its rank falls among the requests that failed."""

UPGRADES = {1: schema_1.upgrade_comparison, 2: schema_2.upgrade_comparison}
"""From a schema to the next one."""


@dataclass(frozen=True)
class Document:
    """What a report is made from.

    Attributes:
        comparison: The comparison.
        setup: Ease of setup, where it was measured.
    """

    comparison: ComparisonResult
    setup: EaseOfSetup | None = None


def write_comparison(result: ComparisonResult, folder: Path) -> Path:
    """Write result.json whole or not at all.

    Returns:
        Its path.

    Raises:
        UsageError: If it cannot be written.
    """
    path = folder / RESULT
    write_whole(path, to_json(result).decode())
    return path


def read_document(path: Path) -> Document:
    """Read a result.json, or the one in a folder, and the ``setup.json`` beside it where there is one.

    Raises:
        UsageError: If it is no comparison, or of a schema that this release does not know.
    """
    path = path / RESULT if path.is_dir() else path
    text = _read(path)
    header = _header(text, path)
    if header.get("kind") != KIND:
        raise UsageError(f"{path} is not the result.json of a comparison")
    version = header.get("schema_version")
    if version in UPGRADES:
        text = _upgraded(header, path)
    elif version != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema {version}; this release reads 1 to {SCHEMA_VERSION}: measure again")
    comparison = from_json(text, ComparisonResult, str(path))
    beside = path.with_name(SETUP)
    return Document(comparison, read_setup(beside) if beside.is_file() else None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _header(text: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} is not what loadtest wrote")
    return document


def _upgraded(document: dict[str, Any], path: Path) -> bytes:
    version = document["schema_version"]
    try:
        while document["schema_version"] in UPGRADES:
            document = UPGRADES[document["schema_version"]](document)
        return json.dumps(document).encode()
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} does not keep schema {version}: {type(error).__name__}: {error}") from error


def failed_share(percentile: str) -> str:
    """The share of requests of which more have failed where a percentile such as ``p99`` is infinite."""
    return f"{100 - float(percentile[1:]):g} %"


def span(value: Estimate, digits: int, unit: str = "") -> str:
    """``4.21 ms [3.90 to 4.60]``, a dash for what is not known, and ``failed`` where so many requests failed."""
    if not value.known:
        return "—"
    if value.value == math.inf:
        return FAILED
    text = f"{value.value:,.{digits}f}{unit}"
    return text if math.isnan(value.low) else f"{text} [{value.low:,.{digits}f} to {value.high:,.{digits}f}]"
