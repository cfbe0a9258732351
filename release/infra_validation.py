"""Does a server take this model? It is started on it as for a comparison, has to load it, and has to answer rightly.

Two phases, which TFX's InfraValidator calls LOAD_ONLY and LOAD_AND_QUERY, on one start of the real server: it is ready
by its own word before it has seen a request; then every golden example in every wire format that it speaks, and inputs
of the load as a warm-up sends them, have to be answered rightly.
"""

import datetime
import math
import time
from dataclasses import dataclass, field, replace

from loadtest.errors import LoadtestError, StorageError
from loadtest.experiments.parity import check_parity
from loadtest.launch.first_prediction import await_first_prediction
from loadtest.launch.running import RunningServer
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import DEFAULT_WIRE, Server
from loadtest.wire.formats import takes
from release.blessing import Blessing
from release.candidate import Candidate
from release.infra_start import InfraStart

SMOKE = 64
"""Inputs of the load that are sent as smoke requests, alone and in one request."""

FAULTS = 5
"""Wrong answers that are listed; how many more there were is told."""

ENDING_S = 1.0
"""A process that ends has closed its connections before: so long it gets until it is told of as one that lives."""


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


def validate(server: Server, candidate: Candidate, start: InfraStart) -> Blessing:
    """Start a server on a candidate, and judge.

    Args:
        server: Which one.
        candidate: The model.
        start: How it is started on that.

    Returns:
        The verdict. A server that is missing, does not start, answers wrongly or dies is a reason and no error.

    Raises:
        StorageError: If this program cannot keep its own files.
        UsageError: If there is no such server to be started in this way.
    """
    found, limits = _Found(), start.limits(server)
    try:
        with start.loaded(server) as running:
            found.load_s = time.monotonic() - running.started
            _query(running, candidate.artifact, start.timeout_s, found)
    except StorageError:
        raise
    except LoadtestError as error:
        found.reasons.insert(0, one_line(str(error)))  # wrong answers follow from it
    label = start.label(server)
    return Blessing(
        blessed=not found.reasons,
        reasons=tuple(found.reasons),
        server=server.key,
        label=label,
        stands_in_for=server.stood_in_for(label) or "",
        launcher=start.name,
        server_cores=limits.cores,
        memory_limit_mib=limits.memory_mib,
        software=start.software(server),
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


def _query(running: RunningServer, artifact: Artifact, timeout_s: float, found: _Found) -> None:
    await_first_prediction(running, running.started, timeout_s)
    found.first_answer_s = running.first_prediction_s
    found.wires = tuple(wire for wire in running.server.wires if takes(wire, artifact))
    golden = check_parity(running, artifact, found.wires)
    smoke = check_parity(running, replace(artifact, golden=artifact.load.part(0, SMOKE)), [DEFAULT_WIRE])
    found.golden, found.smoke = golden.checked, smoke.checked
    found.largest = max(golden.worst, smoke.worst)
    faults = [*golden.faults, *(fault.replace("golden example", "smoke example") for fault in smoke.faults)]
    found.reasons += [" ".join(fault.split()) for fault in faults[:FAULTS]]
    if len(faults) > FAULTS:
        found.reasons.append(f"and {len(faults) - FAULTS} more wrong answers")
    running.raise_if_ended()
    if not running.is_ready():
        time.sleep(ENDING_S)
        running.raise_if_ended()
        found.reasons.append(f"{running.server.key} does not call itself ready any more after the requests")


def one_line(text: str) -> str:
    """The first line of an error, with the last line that the server printed where it brings some."""
    first, *printed = [line.strip() for line in text.splitlines() if line.strip()]
    if not printed:
        return first
    return f"{first.removesuffix('; its last lines:')}: {printed[-1].removeprefix('|').strip()}"
