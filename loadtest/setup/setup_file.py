"""setup.json: everything that was found, under names that change only with the schema version."""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from loadtest.errors import UsageError
from loadtest.machine.files import write_whole
from loadtest.machine.host import Host
from loadtest.records import from_json, to_json
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.setup_plan import SetupPlan
from loadtest.setup.setup_version_1 import upgraded_from_1
from loadtest.setup.weighted_sum import WeightedSums

SETUP_VERSION = 3


@dataclass(frozen=True)
class SetupWorkload:
    """The model that the servers serve."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class EaseOfSetup:
    """The ease of setup of several servers.

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

    schema_version: Literal[3] = 3
    kind: Literal["setup"] = "setup"
    date: datetime.datetime
    command: tuple[str, ...]
    plan: SetupPlan
    host: Host
    launcher: dict[str, Any]
    workload: SetupWorkload
    servers: Annotated[dict[str, ServerSetup], Meta(min_length=1)]
    weighted: WeightedSums | None = None
    counting: int = 1


@dataclass(frozen=True)
class _Heading:
    kind: str = ""
    schema_version: int = 0


def write_setup(setup: EaseOfSetup, path: Path) -> None:
    """Write setup.json whole or not at all.

    Raises:
        UsageError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    write_whole(path, to_json(setup).decode())


def read_setup(path: Path) -> EaseOfSetup:
    """Read a setup.json of this schema version or of an earlier one.

    Raises:
        UsageError: If it cannot be read, or is something else or of a later version.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    heading = from_json(text, _Heading, str(path))
    if heading.kind != "setup":
        raise UsageError(f"{path} is not what loadtest setup wrote: measure again, or move it away")
    if not 1 <= heading.schema_version <= SETUP_VERSION:
        raise UsageError(
            f"{path} has schema {heading.schema_version}, and schemas 1 to {SETUP_VERSION} can be read: "
            "measure again, or move it away"
        )
    if heading.schema_version < SETUP_VERSION:
        document = json.loads(text)
        if heading.schema_version == 1:
            document = upgraded_from_1(document)
        # Schema 2 has the same fields, and its files were counted by the first rule.
        text = json.dumps({**document, "schema_version": SETUP_VERSION, "counting": 1}).encode()
    return from_json(text, EaseOfSetup, str(path))
