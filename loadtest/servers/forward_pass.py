"""The forward pass alone: asked of `python -m models forward`, since no framework is imported here."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass

from loadtest.machine.ending import with_parent
from loadtest.machine.placement import Placement, running_on
from loadtest.records import Number
from loadtest.servers.artifact import ROOT, Artifact

PATIENCE_S = 120


@dataclass(frozen=True)
class ForwardPassTime:
    """How long one forward pass takes in a process of its own, on the server's cores.

    Attributes:
        runtime: ``torch`` or ``tensorflow``.
        batch: Instances in a pass.
        calls: Passes that were timed.
        p50_ms: Median, in milliseconds.
        p99_ms: 99th percentile.
        mean_ms: Mean over many inputs of each one's median; NaN in results that are older.
    """

    runtime: str
    batch: int
    calls: int
    p50_ms: float
    p99_ms: float
    mean_ms: Number = math.nan

    @property
    def typical_ms(self) -> float:
        """What a pass takes on average, a stray slow one left out: the mean, and where that is not known the median."""
        return self.p50_ms if math.isnan(self.mean_ms) else self.mean_ms


def time_forward_passes(artifact: Artifact, placement: Placement, batch: int) -> list[ForwardPassTime]:
    """Time the forward pass in both frameworks; no server can answer faster than that.

    Args:
        artifact: The model.
        placement: Cores and threads of the server, which are given to the forward pass.
        batch: Instances in a pass.

    Returns:
        One for each framework; none where the frameworks are not installed here, as on a load-test machine of its own.
    """
    options = ["--batch", str(batch), "--threads", str(placement.server_threads)]
    command = [sys.executable, "-m", "models", "forward", artifact.workload, *options]
    with running_on(placement.server):
        try:
            done = subprocess.run(
                command, capture_output=True, cwd=ROOT, timeout=PATIENCE_S, check=True, preexec_fn=with_parent()
            )
        except (OSError, subprocess.SubprocessError):
            return []
    return [ForwardPassTime(**one) for one in json.loads(done.stdout)]
