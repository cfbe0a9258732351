"""Reads result.json: what every table, figure and page is made from."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.judge.intervals import Estimate
from loadtest.load.histogram import Histogram
from loadtest.report.document import SCHEMA, SCHEMA_VERSION
from loadtest.setup.setup_file import read_setup

Document = dict[str, Any]
Json = Mapping[str, Any]


def read_comparison(path: Path) -> Document:
    """Read a result.json, or the one in a folder, and the ``setup.json`` beside it where there is one.

    Raises:
        UsageError: If it is no comparison of this schema.
    """
    path = path / "result.json" if path.is_dir() else path
    document = _read(path)
    if document.get("kind") != "comparison":
        raise UsageError(f"{path} is not the result.json of a comparison")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema {document.get('schema_version')}, not {SCHEMA_VERSION}")
    fault = schema_fault(document)
    if fault:
        raise UsageError(f"{path} does not keep its schema: {fault}")
    beside = path.with_name("setup.json")
    if beside.is_file():
        document["setup"] = read_setup(beside)
    return document


def schema_fault(document: Document, *, strict: bool = False) -> str:
    """The first place where a document does not keep result.schema.json; empty where it does.

    Args:
        document: The document.
        strict: Whether names that the schema does not know are faults too; a later release may have added them.
    """
    # Imported here, since it takes time that the other commands need not spend.
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for error in validator.iter_errors(document):
        if strict or error.validator != "additionalProperties":
            return f"{error.json_path}: {error.message[:200]}"
    return ""


def _read(path: Path) -> Document:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} is not what loadtest wrote")
    return document


def names(document: Json) -> dict[str, str]:
    """What each server is called, by its key; the key is added where two share a label."""
    labels = [server["label"] for server in document["servers"]]
    return {
        server["key"]: server["label"] if labels.count(server["label"]) == 1 else f"{server['label']} ({server['key']})"
        for server in document["servers"]
    }


def estimate(cell: Mapping[str, float | None] | None) -> Estimate:
    """A value with its interval, NaN where the file holds null."""
    found = cell or {}
    return Estimate(*(number(found.get(name)) for name in ("value", "low", "high")))


def number(value: float | None) -> float:
    """NaN for null."""
    return math.nan if value is None else float(value)


def plain(value: float) -> float | None:
    """Null for NaN and infinity, which JSON cannot hold."""
    return value if math.isfinite(value) else None


def valid_rounds(server: Json, kind: str = "open_loop") -> list[Json]:
    """The rounds whose run of this kind is valid."""
    return [one for one in server["rounds"] if one[kind]["verdict"]["valid"]]


def runs(server: Json) -> Iterator[tuple[str, Json]]:
    """Every run of a server's rounds with its name, valid or not."""
    for one in server["rounds"]:
        place = f"round {one['number']}"
        yield f"{place}, open loop", one["open_loop"]
        yield f"{place}, closed loop", one["closed_loop"]
        for run in one["curve"]:
            yield f"{place}, {run['run']['rate']:,.0f}/s", run


def histogram(run: Json) -> Histogram:
    """The response times of a run that carries its distribution."""
    distribution = run["response_time_distribution"]
    top = round(number(run["response_time_ms"]["max"]) * 1e6) if distribution["counts"] else 0
    return Histogram.from_counts(distribution["highest_ns"], distribution["counts"], 0, top)


def union(histograms: Sequence[Histogram]) -> Histogram:
    """All of them in one."""
    whole = Histogram()
    for one in histograms:
        whole.merge(one)
    return whole


def span(value: Estimate, digits: int, unit: str = "") -> str:
    """``4.21 ms [3.90 to 4.60]``, or a dash for what is not known."""
    if not value.known:
        return "—"
    text = f"{value.value:,.{digits}f}{unit}"
    return text if math.isnan(value.low) else f"{text} [{value.low:,.{digits}f} to {value.high:,.{digits}f}]"
