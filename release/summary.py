"""What became of a release, step by step: what summary.json holds and the page shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.machine.host import Host
from loadtest.records import Count, Number
from release.blessing import Blessing
from release.push import PushRecord

PASSED, STOPPED, NOT_REACHED, LEFT_OUT = "passed", "stopped", "not reached", "left out"


@dataclass
class Step:
    """A part of the way.

    Attributes:
        name: Of the step.
        outcome: ``passed``, ``stopped``, ``not reached`` or ``left out``.
        took_s: Seconds.
        lines: What was seen; where it stopped, why.
    """

    name: str
    outcome: str = NOT_REACHED
    took_s: Number = math.nan
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReleasedModel:
    """What the manifest of the candidate says of it.

    Attributes:
        version: As it was built.
        description: What it predicts.
        seed: Of its training.
        quality: What the figure is called that says how good it is.
        quality_value: That figure.
        quality_examples: Number of held-out examples.
        quality_at_least: What the workload promises.
        tolerance: Largest difference from the right answers that is allowed.
        data_sha256: See `release.data_digest`.
        data_meaning: What that is a digest of.
        source_sha256: Digest over the sources and versions of packages that decide the artifact.
        weights_sha256: Digest of the weights that every export was made from.
        manifest_sha256: Digest of the manifest, which holds one for every file.
        versions: Packages that it was built with.
    """

    version: str
    description: str
    seed: int
    quality: str
    quality_value: float
    quality_examples: Count
    quality_at_least: float
    tolerance: float
    data_sha256: str
    data_meaning: str
    source_sha256: str
    weights_sha256: str
    manifest_sha256: str
    versions: dict[str, str]


@dataclass
class Summary:
    """A release, finished or stopped.

    Attributes:
        workload: Name of the model.
        target: Where it was to be pushed.
        command: As it was typed.
        started_at: UTC, ISO 8601.
        host: The machine.
        servers: Keys of the servers that have to bless it.
        steps: In their order.
        model: The candidate; None before it was read.
        parity: Largest difference of each export from the right answers.
        blessings: A verdict for each server.
        gate: A line for each limit.
        gate_result: Folder of the comparison that was held against them; empty where there is none.
        pushed: The newest version now; None where nothing was pushed.
        already: Whether it was that before.
    """

    workload: str
    target: str
    command: str
    started_at: str
    host: Host
    servers: Sequence[str]
    steps: list[Step]
    model: ReleasedModel | None = None
    parity: dict[str, float] = field(default_factory=dict)
    blessings: list[Blessing] = field(default_factory=list)
    gate: Sequence[str] = ()
    gate_result: str = ""
    pushed: PushRecord | None = None
    already: bool = False

    @property
    def stopped(self) -> Step | None:
        """The step at which it stopped; None where it went through."""
        return next((one for one in self.steps if one.outcome == STOPPED), None)

    @property
    def title(self) -> str:
        """In one line."""
        name = f"{self.workload} v{self.model.version}" if self.model else self.workload
        if self.stopped:
            return f"{name}: stopped at {self.stopped.name}"
        if self.pushed is None:
            return f"{name}: not finished"
        return f"{name}: {'is' if self.already else 'pushed as'} version {self.pushed.version}"
