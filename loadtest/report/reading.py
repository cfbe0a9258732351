"""Reads result.json, or what is there in its place: what every table, figure and page is made from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.judge import schema_1, schema_2, schema_3
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import Estimate
from loadtest.judge.result_file import KIND, SCHEMA_VERSION, ResultFile
from loadtest.judge.runs_record import digest_of
from loadtest.machine.files import read_bytes, write_whole
from loadtest.machine.journal import read_lines
from loadtest.records import from_json, to_json
from loadtest.report.runs_file import RUNS, read_runs
from loadtest.resilience.resilience_file import RESILIENCE, ResilienceFile, read_resilience
from loadtest.resilience.soak_file import SoakFile, holds_soak, read_soak
from loadtest.servers.exported_model import ExportedModel
from loadtest.servers.exported_models import read_exported
from loadtest.servers.model_record import ModelRecord, read_models
from loadtest.setup.setup_file import EaseOfSetup, read_setups

RESULT = "result.json"
SETUP = "setup.json"
FAILED = "failed"
"""What is told in place of an infinite percentile: its rank falls among the requests that failed."""

UPGRADES = {
    1: schema_1.upgrade_comparison,
    2: schema_2.upgrade_comparison,
    3: schema_3.upgrade_comparison,
}
"""From a schema to the next one."""

NOT_BEGUN = "it was not begun"


@dataclass(frozen=True)
class Document:
    """What the sections on one model and batch size are made from.

    Attributes:
        comparison: The comparison.
        setup: Ease of setup with that model, where it was measured.
    """

    comparison: ComparisonResult
    setup: EaseOfSetup | None = None

    @property
    def name(self) -> str:
        """Of the comparison."""
        return self.comparison.name


@dataclass(frozen=True)
class Results:
    """What a page is made from: a result.json, and the setup.json and resilience.json beside it.

    Attributes:
        documents: One for each comparison; one at least.
        unmeasured: Why a comparison that was asked for is not there, or holds no number, by its name.
        resilience: How servers hold under fire, where that was tried out.
        soak: What became of a long load, likewise.
        remarks: What a reader must know of the files that this was read from.
        models: What is told of the models, by their names; empty where an artifact or an older result told nothing.
        exported: What became of their exports to phones and browsers, likewise; empty where none was tried.
    """

    documents: list[Document]
    unmeasured: dict[str, str] = field(default_factory=dict)
    resilience: ResilienceFile | None = None
    remarks: list[str] = field(default_factory=list)
    soak: SoakFile | None = None
    models: dict[str, ModelRecord] = field(default_factory=dict)
    exported: dict[str, ExportedModel] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        file: ResultFile,
        setups: Sequence[EaseOfSetup] = (),
        resilience: ResilienceFile | None = None,
        remarks: Sequence[str] = (),
        soak: SoakFile | None = None,
        models: Mapping[str, ModelRecord] | None = None,
        exported: Mapping[str, ExportedModel] | None = None,
    ) -> "Results":
        """The comparisons of a file, each with the ease of setup of its model, and what was tried out under fire."""
        by_model = {one.workload.name: one for one in setups}
        begun = {one.name for one in file.comparisons} | set(file.failures)
        return cls(
            [Document(one, by_model.get(one.workload.name)) for one in file.comparisons],
            file.failures | {name: NOT_BEGUN for name in file.planned if name not in begun},
            resilience,
            list(remarks),
            soak,
            dict(models or {}),
            dict(exported or {}),
        )

    @property
    def by_name(self) -> dict[str, Document]:
        """The documents by the names of their comparisons, in their order."""
        return {one.name: one for one in self.documents}

    @property
    def comparisons(self) -> dict[str, ComparisonResult]:
        """The comparisons by name, in their order."""
        return {one.name: one.comparison for one in self.documents}

    @property
    def with_setup(self) -> Document | None:
        """The first one whose ease of setup was measured; with further models less is tried out."""
        return next((one for one in self.documents if one.setup), None)

    @property
    def only(self) -> Document:
        """The comparison, where there is no more than one.

        Raises:
            UsageError: If there are several.
        """
        if len(self.documents) > 1:
            raise UsageError(f"the result holds several comparisons: {', '.join(self.comparisons)}")
        return self.documents[0]


def write_results(file: ResultFile, folder: Path) -> Path:
    """Write result.json whole or not at all.

    Returns:
        Its path.

    Raises:
        UsageError: If it cannot be written.
    """
    path = folder / RESULT
    write_whole(path, to_json(file).decode())
    return path


def holds_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison, finished or not."""
    return (folder / RESULT).is_file() or (folder / RUNS).is_file()


def read_results(path: Path) -> Results:
    """Read a result.json, or what is in a folder, with the setup.json and resilience.json beside it where they are.

    In a folder, runs.jsonl tells what was measured. Where it has more lines than result.json was made from, because the
    comparison goes on or was killed, or where result.json is missing or damaged, it is read in its place.

    Raises:
        UsageError: If it is no comparison, or of a schema that this release does not know.
    """
    file, remarks = _in_folder(path) if path.is_dir() else (_read_file(path), [])
    folder = path if path.is_dir() else path.parent
    setup, resilience = folder / SETUP, folder / RESILIENCE
    versions = {one.workload.name: one.workload.version for one in file.comparisons}
    models, faults = read_models(folder, versions)
    exported, more_faults = read_exported(folder, versions)
    return Results.of(
        file,
        read_setups(setup) if setup.is_file() else (),
        read_resilience(resilience) if resilience.is_file() else None,
        [*remarks, *faults, *more_faults],
        read_soak(folder) if holds_soak(folder) else None,
        models,
        exported,
    )


def _in_folder(folder: Path) -> tuple[ResultFile, list[str]]:
    """What a folder holds, and what a reader must know of it."""
    result, runs = folder / RESULT, folder / RUNS
    if not runs.is_file():
        return _read_file(result), []
    if not result.exists():
        return _from_runs(runs)
    try:
        file = _read_file(result)
    except UsageError as error:
        found, remarks = _from_runs(runs)
        return found, [f"made from {RUNS}, since {error}", *remarks]
    if is_made_from(file, runs):
        return file, []
    try:
        return _from_runs(runs)
    except UsageError as error:
        return file, [f"made from a {RESULT} that may be older than {RUNS}, since {error}"]


def is_made_from(file: ResultFile, runs: Path) -> bool:
    """Whether a result holds all that a runs.jsonl does."""
    lines = read_lines(runs).whole
    return bool(lines) and file.made_from == digest_of(lines[0]) and file.entries >= len(lines)


def _from_runs(path: Path) -> tuple[ResultFile, list[str]]:
    runs = read_runs(path)
    file = runs.record.result_file()
    if not file.comparisons:
        raise UsageError(f"{path} holds no comparison yet: loadtest compare --resume {path.parent}")
    return file, runs.remarks


def _read_file(path: Path) -> ResultFile:
    """The file, brought to the schema of this release."""
    text = read_bytes(path)
    header = _header(text, path)
    if header.get("kind") != KIND:
        raise UsageError(f"{path} is not the result.json of a comparison")
    version = header.get("schema_version")
    if version in UPGRADES:
        text = _upgraded(header, path)
    elif version != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema {version}; this release reads 1 to {SCHEMA_VERSION}: measure again")
    file = from_json(text, ResultFile, str(path))
    if not file.comparisons:
        raise UsageError(f"{path} holds no comparison: measure again")
    return file


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
