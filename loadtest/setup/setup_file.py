"""setup.json: everything that was found, under names that change only with the schema version."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from loadtest.errors import UsageError
from loadtest.machine.files import read_bytes, write_whole
from loadtest.machine.host import Host
from loadtest.records import from_json, to_json
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.setup_plan import SetupPlan
from loadtest.setup.setup_version_1 import upgraded_from_1
from loadtest.setup.weighted_sum import WeightedSums

SETUP_VERSION = 4


@dataclass(frozen=True)
class SetupWorkload:
    """The model that the servers serve."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class EaseOfSetup:
    """The ease of setup of several servers with one model.

    Attributes:
        date: When the measurement began, UTC.
        command: Arguments of the program that measured.
        plan: What was asked for.
        host: The machine.
        launcher: How the servers were started; see `loadtest.launch.launcher.Launcher.describe`.
        workload: The model.
        servers: What was found of each server, by its key.
        weighted: Sums with the reader's weights; None without weights.
        counting: Version of the rule by which files were counted (`loadtest.setup.written_files.COUNTING`); lines of
            different ones cannot be compared.
    """

    date: datetime.datetime
    command: tuple[str, ...]
    plan: SetupPlan
    host: Host
    launcher: dict[str, Any]
    workload: SetupWorkload
    servers: Annotated[dict[str, ServerSetup], Meta(min_length=1)]
    weighted: WeightedSums | None = None
    counting: int = 1


@dataclass(frozen=True, kw_only=True)
class SetupFile:
    """What setup.json holds: the ease of setup with each model that one command measured.

    Attributes:
        measurements: One for each model. What does not depend on the model, the capabilities, may be tried out with the
            first one only.
    """

    schema_version: Literal[4] = 4
    kind: Literal["setup"] = "setup"
    measurements: Annotated[list[EaseOfSetup], Meta(min_length=1)]


@dataclass(frozen=True)
class _Heading:
    kind: str = ""
    schema_version: int = 0


def write_setups(measurements: Sequence[EaseOfSetup], path: Path) -> None:
    """Write setup.json whole or not at all.

    Raises:
        UsageError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    write_whole(path, to_json(SetupFile(measurements=list(measurements))).decode())


def read_setups(path: Path) -> list[EaseOfSetup]:
    """Read a setup.json of this schema version or of an earlier one.

    Returns:
        One for each model.

    Raises:
        UsageError: If it cannot be read, or is something else or of a later version.
    """
    text = read_bytes(path)
    heading = from_json(text, _Heading, str(path))
    if heading.kind != "setup":
        raise UsageError(f"{path} is not what loadtest setup wrote: measure again, or move it away")
    if not 1 <= heading.schema_version <= SETUP_VERSION:
        raise UsageError(
            f"{path} has schema {heading.schema_version}, and schemas 1 to {SETUP_VERSION} can be read: "
            "measure again, or move it away"
        )
    if heading.schema_version < SETUP_VERSION:
        text = json.dumps(_upgraded(json.loads(text))).encode()
    return from_json(text, SetupFile, str(path)).measurements


def _upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """A file of an earlier schema, which held one model."""
    if document["schema_version"] == 1:
        document = upgraded_from_1(document)
    if document["schema_version"] == 2:
        # The fields are the same, and its files were counted by the first rule.
        document = {**document, "schema_version": 3, "counting": 1}
    measured = {name: value for name, value in document.items() if name not in ("kind", "schema_version")}
    return {"kind": "setup", "schema_version": SETUP_VERSION, "measurements": [measured]}
