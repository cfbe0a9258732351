"""resilience.json: what was found of each server, part by part. A part that is tried out again replaces itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from loadtest.machine.files import read_bytes, write_whole
from loadtest.records import from_json, to_json
from loadtest.resilience.command_record import CommandRecord
from loadtest.resilience.crash import Crash
from loadtest.resilience.hostile.result import HostileResult
from loadtest.resilience.leaving import Leaving
from loadtest.resilience.overload import Overload
from loadtest.resilience.rollout_result import Rollout

RESILIENCE = "resilience.json"


@dataclass(frozen=True)
class Resilience:
    """What was found of one server.

    Attributes:
        label: What tables call it.
        stands_in_for: What it stands in for, where it is not the server itself.
        overload: None where it was not tried out; likewise the others.
        rollout: A new version under load.
        crash: Processes that end under load.
        leave: Requests that are cancelled.
        hostile: Requests that nobody should send, over each wire.
        faults: Why a part could not be tried out, by its name.
    """

    label: str
    stands_in_for: str | None = None
    overload: Overload | None = None
    rollout: Rollout | None = None
    crash: list[Crash] | None = None
    leave: list[Leaving] | None = None
    hostile: list[HostileResult] | None = None
    faults: dict[str, str] = field(default_factory=dict)

    def with_part(self, name: str, found: Any) -> "Resilience":
        """The same with the finding of a part."""
        changes = {name: found, "faults": {part: fault for part, fault in self.faults.items() if part != name}}
        return replace(self, **changes)

    def with_fault(self, name: str, fault: str) -> "Resilience":
        """The same with the reason why a part could not be tried out."""
        changes: dict[str, Any] = {name: None, "faults": {**self.faults, name: fault}}
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class ResilienceFile(CommandRecord):
    """What resilience.json holds, of the command that measured the latest part and of all servers.

    Attributes:
        servers: What was found of each server, by its key.
    """

    kind: Literal["resilience"] = "resilience"
    servers: Mapping[str, Resilience]


def write_resilience(file: ResilienceFile, folder: Path) -> Path:
    """Write resilience.json whole or not at all.

    Raises:
        UsageError: If it cannot be written.
    """
    path = folder / RESILIENCE
    write_whole(path, to_json(file).decode())
    return path


def read_resilience(path: Path) -> ResilienceFile:
    """Read a resilience.json.

    Raises:
        UsageError: If it cannot be read or is something else.
    """
    return from_json(read_bytes(path), ResilienceFile, str(path))
