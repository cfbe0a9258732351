"""Does a server take this model? It is started on it as for a comparison, has to load it, and has to answer rightly.

Two phases, which TFX's InfraValidator calls LOAD_ONLY and LOAD_AND_QUERY, on one start of the real server: it is ready
by its own word before it has seen a request; then every golden example in every wire format that it speaks, and inputs
of the load as a warm-up sends them, have to be answered rightly.
"""

import datetime
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from loadtest.errors import LoadtestError, StorageError
from loadtest.experiments.parity import check_parity
from loadtest.launch.first_prediction import await_first_prediction, await_ready
from loadtest.launch.launcher import LOCAL
from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import Placement
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import DEFAULT_WIRE, Server
from loadtest.setup.software_versions import software_versions
from loadtest.wire.formats import takes
from release.blessing import Blessing
from release.candidate import Candidate

SMOKE = 64
"""Inputs of the load that are sent as smoke requests, alone and in one request."""

FAULTS = 5
"""Wrong answers that are listed; how many more there were is told."""

Say = Callable[[str], None]


@dataclass
class _Found:
    """What came of a validation so far."""

    load_s: float = math.nan
    first_answer_s: float = math.nan
    wires: tuple[str, ...] = ()
    golden: int = 0
    smoke: int = 0
    largest: float = math.nan
    reasons: list[str] = field(default_factory=list)


def validate(
    server: Server, candidate: Candidate, placement: Placement, *, timeout_s: float, say: Say = lambda line: None
) -> Blessing:
    """Start a server on a candidate, on free ports, and judge.

    Args:
        server: Which one.
        candidate: The model.
        placement: Cores of the server and of this program.
        timeout_s: Seconds that it may take to load the model.
        say: Told what is under way.

    Returns:
        The verdict. A server that is missing, does not start, answers wrongly or dies is a reason and no error.

    Raises:
        StorageError: If this program cannot keep its own files.
    """
    found = _Found()
    label, stands_in_for = server.label, ""
    try:
        launch = server.launch()
        label, stands_in_for = launch.label or server.label, launch.stands_in_for
        say(f"{label}: loading {candidate.name}")
        started = time.monotonic()
        running = start_local(
            server, candidate.artifact, placement, any_port=True, timeout_s=timeout_s, until=await_ready
        )
        found.load_s = time.monotonic() - started
        try:
            say(f"{label}: answering")
            _query(running, candidate.artifact, timeout_s, found)
        finally:
            running.stop()
    except StorageError:
        raise
    except LoadtestError as error:
        found.reasons.append(one_line(str(error)))
    return Blessing(
        blessed=not found.reasons,
        reasons=tuple(found.reasons),
        server=server.key,
        label=label,
        stands_in_for=stands_in_for,
        launcher=LOCAL,
        server_cores=placement.server,
        software=_software(server),
        workload=candidate.artifact.workload,
        version=candidate.artifact.version,
        manifest_sha256=candidate.manifest_sha256,
        at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        load_s=found.load_s,
        first_answer_s=found.first_answer_s,
        wires=found.wires,
        golden=found.golden,
        smoke=found.smoke,
        largest_difference=found.largest,
        tolerance=candidate.artifact.tolerance,
    )


def _query(running: LocalServer, artifact: Artifact, timeout_s: float, found: _Found) -> None:
    await_first_prediction(running, running.started, timeout_s)
    found.first_answer_s = running.first_prediction_s
    found.wires = tuple(wire for wire in running.server.wires if takes(wire, artifact))
    golden = check_parity(running, artifact, found.wires)
    smoke = check_parity(running, replace(artifact, golden=artifact.load.part(0, SMOKE)), [DEFAULT_WIRE])
    found.golden, found.smoke = golden.checked, smoke.checked
    found.largest = max(golden.worst, smoke.worst)
    faults = [*golden.faults, *(fault.replace("golden example", "smoke example") for fault in smoke.faults)]
    found.reasons += faults[:FAULTS]
    if len(faults) > FAULTS:
        found.reasons.append(f"and {len(faults) - FAULTS} more wrong answers")
    running.raise_if_ended()
    if not running.is_ready():
        found.reasons.append(f"{running.server.key} does not call itself ready any more after the requests")


def one_line(text: str) -> str:
    """The first line of an error, with the last line that the server printed where it brings some."""
    first, *printed = [line.strip() for line in text.splitlines() if line.strip()]
    if not printed:
        return first
    return f"{first.removesuffix('; its last lines:')}: {printed[-1].removeprefix('|').strip()}"


def _software(server: Server) -> dict[str, str]:
    try:
        return software_versions(server)
    except LoadtestError:  # it cannot be started here, which is a reason already
        return {}
