"""The forward pass alone: asked of `python -m models forward`, since no framework is imported here."""

import json
import subprocess
import sys
from dataclasses import dataclass

from loadtest.machine.placement import Placement, running_on
from loadtest.servers.artifact import ROOT, Artifact

PATIENCE_S = 120


@dataclass(frozen=True)
class Floor:
    """Time of one forward pass in a process of its own, on the server's cores.

    Attributes:
        runtime: ``torch`` or ``tensorflow``.
        batch: Instances in a pass.
        calls: Passes that were timed.
        p50_ms: Median, in milliseconds.
        p99_ms: 99th percentile.
    """

    runtime: str
    batch: int
    calls: int
    p50_ms: float
    p99_ms: float


def measure_floor(artifact: Artifact, placement: Placement, batch: int) -> list[Floor]:
    """Time the forward pass in both frameworks.

    Returns:
        One floor per framework; none where the frameworks are not installed here, as on a load-test machine of its own.
    """
    options = ["--batch", str(batch), "--threads", str(placement.server_threads)]
    command = [sys.executable, "-m", "models", "forward", artifact.workload, *options]
    with running_on(placement.server):
        try:
            done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=PATIENCE_S, check=True)
        except (OSError, subprocess.SubprocessError):
            return []
    return [Floor(**floor) for floor in json.loads(done.stdout)]
