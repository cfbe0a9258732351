"""Pushes a blessed model to where servers read it, or says what speaks against that."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import LoadtestError
from loadtest.records import from_json, to_json
from loadtest.servers.artifact import Artifact, read_artifact
from release.blessing import read_blessing, why_not_blessed
from release.candidate import Candidate
from release.errors import RefusedError, TargetError
from release.latency_gate import GateOutcome
from release.numbered_copy import copy_numbered, sync
from release.push_target import PushTarget, told
from release.refusals import quality_drop, schema_changes

RECORD = ".pushed.json"
KEEP = 3
"""Versions that stay by default: the newest, the one to go back to, and one for when that is gone back to as well."""

Gate = Callable[[Candidate], GateOutcome]
"""A last check, which may take minutes."""


def no_gate(candidate: Candidate) -> GateOutcome:
    """Hold nothing against limits."""
    return GateOutcome()


@dataclass(frozen=True)
class PushRecord:
    """Where a pushed version comes from; lies in its folder, hidden, as it is no part of the model.

    Attributes:
        workload: Name of the model.
        version: The number that it is served by.
        built_as: Its own version in ``artifacts/``.
        manifest_sha256: Of the artifact's manifest, which the blessings hold for.
        blessed_by: What each server that blessed it is called, by the server's key.
        gate: What was held against limits, one line each.
        at: When, UTC, ISO 8601.
    """

    workload: str
    version: int
    built_as: str
    manifest_sha256: str
    blessed_by: dict[str, str]
    gate: tuple[str, ...]
    at: str


@dataclass(frozen=True)
class Newest:
    """The version that was pushed last.

    Attributes:
        artifact: It.
        record: Where it comes from.
    """

    artifact: Artifact
    record: PushRecord

    def is_of(self, candidate: Candidate) -> bool:
        """Whether it is a copy of this very artifact."""
        return self.record.manifest_sha256 == candidate.manifest_sha256


@dataclass(frozen=True)
class Pushed:
    """What became of a push.

    Attributes:
        record: Of the version that is the newest now.
        folder: Where it lies.
        made: Whether this push put it there; the very same artifact may have been the newest already.
        before: The version that was the newest, or none.
        removed: Versions that were taken away, as more than are kept.
    """

    record: PushRecord
    folder: Path
    made: bool
    before: int | None
    removed: tuple[int, ...]


def push(
    candidate: Candidate,
    target: PushTarget,
    servers: Sequence[str],
    *,
    keep: int = KEEP,
    max_drop: float = 0.0,
    gate: Gate = no_gate,
) -> Pushed:
    """Push a candidate as the next version.

    Args:
        candidate: The model; its files were checked.
        target: Where to; held for as long as this takes.
        servers: Keys of the servers that must have blessed it.
        keep: Versions that stay, this one included; at least 2, so that there is one to go back to.
        max_drop: How much worse than the pushed version it may be on held-out examples.
        gate: A last check, made where nothing else speaks against the push.

    Raises:
        RefusedError: If anything speaks against it; nothing has changed then.
        TargetError: If the target cannot be written to; nothing has changed then.
    """
    newest = newest_pushed(target)
    reasons = why_not(candidate, newest, servers, max_drop)
    if newest and not reasons and newest.is_of(candidate):
        return Pushed(newest.record, newest.artifact.folder, made=False, before=newest.record.version, removed=())
    outcome = GateOutcome() if reasons else gate(candidate)
    reasons += outcome.reasons
    if reasons:
        raise RefusedError(f"{candidate.name} is not pushed to {target.home}: {'; '.join(reasons)}")
    version = target.next_version
    found = {server: read_blessing(candidate, server) for server in servers}
    record = PushRecord(
        workload=candidate.artifact.workload,
        version=version,
        built_as=candidate.artifact.version,
        manifest_sha256=candidate.manifest_sha256,
        blessed_by={server: one.label for server, one in found.items() if one},
        gate=outcome.told,
        at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    with told(target.home), target.staging() as staging:
        staged = staging / str(version)
        copy_numbered(candidate, staged, version)
        (staged / RECORD).write_bytes(to_json(record))
        for path in (staged / RECORD, staged):
            sync(path)
        removed = target.publish(staged, version, keep)
    return Pushed(
        record,
        target.folder(version),
        made=True,
        before=newest.record.version if newest else None,
        removed=tuple(removed),
    )


def why_not(candidate: Candidate, newest: Newest | None, servers: Sequence[str], max_drop: float) -> list[str]:
    """What speaks against a push without anything being measured, one line each.

    Args:
        candidate: The model.
        newest: What was pushed last.
        servers: Keys of the servers that must have blessed it.
        max_drop: How much worse it may be.
    """
    reasons = why_not_blessed(candidate, servers)
    if newest and not newest.is_of(candidate):
        reasons += schema_changes(newest.artifact.manifest, candidate.artifact.manifest)
        reasons += quality_drop(newest.artifact.manifest, candidate.artifact.manifest, max_drop)
    return reasons


def newest_pushed(target: PushTarget) -> Newest | None:
    """The newest version of a target; None where nothing was pushed.

    Raises:
        TargetError: If it is damaged.
    """
    if not target.versions:
        return None
    folder = target.folder(target.versions[-1])
    path = folder / RECORD
    try:
        return Newest(read_artifact(folder), from_json(path.read_bytes(), PushRecord, str(path)))
    except (LoadtestError, OSError) as error:
        damage = str(error).rpartition(": python -m models")[0] or str(error)
        raise TargetError(f"what was pushed last is damaged ({damage}); --rollback takes it away") from error
