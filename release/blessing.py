"""What infra validation found of one server, as a file in the artifact: INFRA_BLESSED or INFRA_NOT_BLESSED.

The names are those of TFX's InfraValidator, which writes an empty file; here it says how it came to be. The folder's
name begins with a dot, which everything that checks an artifact passes over: a blessing is no part of the model. It
holds for one manifest and no other, so an artifact that is built again is not blessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.machine.files import write_whole
from loadtest.records import Count, Number, from_json, to_json
from release.candidate import Candidate

FOLDER = ".blessing"
BLESSED = "INFRA_BLESSED"
NOT_BLESSED = "INFRA_NOT_BLESSED"


@dataclass(frozen=True)
class Blessing:
    """The verdict on a candidate under one server.

    Attributes:
        blessed: Whether the server may be given this model.
        reasons: Why not, one line each; empty where it is blessed.
        server: Server key, such as ``tf_serving``.
        label: What was started, as tables call it.
        stands_in_for: The server that it only stands in for; empty where it is the server itself.
        launcher: How it was started.
        server_cores: Cores that it was given; empty where it was not pinned.
        memory_limit_mib: Memory that it was given, in MiB; None where it might use all of the machine's.
        software: Versions of what it runs on, by name.
        workload: Name of the model.
        version: Its version.
        manifest_sha256: Digest of the manifest that the verdict holds for.
        at: When it was reached, UTC, ISO 8601.
        load_s: Seconds from the start until the server called itself ready, before any request.
        first_answer_s: Seconds from the start to the first right answer.
        wires: Wire formats that it was asked over.
        golden: Golden predictions that were compared.
        smoke: Predictions on inputs of the warm-up that were compared.
        largest_difference: From the right answers.
        tolerance: Largest difference that is allowed.
    """

    blessed: bool
    reasons: tuple[str, ...]
    server: str
    label: str
    stands_in_for: str
    launcher: str
    server_cores: tuple[int, ...]
    software: dict[str, str]
    workload: str
    version: str
    manifest_sha256: str
    at: str
    load_s: Number
    first_answer_s: Number
    wires: tuple[str, ...]
    golden: Count
    smoke: Count
    largest_difference: Number
    tolerance: float
    memory_limit_mib: float | None = None

    @property
    def verdict(self) -> str:
        """``INFRA_BLESSED`` or ``INFRA_NOT_BLESSED``, the name of its file."""
        return BLESSED if self.blessed else NOT_BLESSED


def write_blessing(candidate: Candidate, blessing: Blessing) -> Path:
    """Put a verdict into the artifact, in the place of an earlier one of the same server.

    Whatever ends this in the middle, INFRA_BLESSED never outlives a verdict against it.

    Returns:
        The file.

    Raises:
        UsageError: If it cannot be written.
    """
    folder = candidate.folder / FOLDER / blessing.server
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (BLESSED, NOT_BLESSED):
        (folder / stale).unlink(missing_ok=True)
    path = folder / blessing.verdict
    write_whole(path, to_json(blessing).decode())
    return path


def read_blessing(candidate: Candidate, server: str) -> Blessing | None:
    """The verdict on a candidate under a server; None where there is none for this very manifest.

    Args:
        candidate: The artifact.
        server: Server key.

    Raises:
        UsageError: If the file is damaged.
    """
    for name in (NOT_BLESSED, BLESSED):
        path = candidate.folder / FOLDER / server / name
        if path.is_file():
            found = from_json(path.read_bytes(), Blessing, str(path))
            return found if found.manifest_sha256 == candidate.manifest_sha256 else None
    return None


def why_not_blessed(candidate: Candidate, servers: Sequence[str]) -> list[str]:
    """Why a candidate may not be pushed for these servers, one line each; empty where it is blessed for all."""
    reasons = []
    for server in servers:
        found = read_blessing(candidate, server)
        if found is None:
            reasons.append(f"{server}: not validated since it was built (python -m models bless)")
        elif not found.blessed:
            reasons.append(f"{server}: not blessed: {found.reasons[0]}")
    return reasons
