"""What runs.jsonl holds: a line for each thing that was measured, in the order in which it was.

Each line is a JSON object whose name ``what`` says which of these records it is. The first one is a `Header`, and a
comparison begins with `Begun`. What a contender goes through in one start of its server (its gate, a round, the count
of its layers) or in a search of its capacity ends with `TurnEnded`.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from loadtest.judge.breakdown import Breakdown
from loadtest.judge.caching import Caching
from loadtest.judge.capacity_result import Capacity, Probe
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import Finding
from loadtest.judge.run_result import RunResult
from loadtest.judge.server_result import MessageBytes, Parity
from loadtest.judge.surroundings import Surroundings
from loadtest.machine.usage import Usage
from loadtest.records import Count, Number
from loadtest.servers.forward_pass import ForwardPassTime

SCHEMA_VERSION = 1
KIND = "comparison runs"

GATE, ROUND, CAPACITY, LAYERS = "gate", "round", "capacity", "layers"
"""Stages of a `TurnEnded`."""

OPEN_LOOP, CLOSED_LOOP, CURVE = "open_loop", "closed_loop", "curve"
"""Parts of a round, of a `RunEnded`; `GATE` is one too."""


@dataclass(frozen=True)
class Header:
    """What identifies the comparisons of a file.

    Attributes:
        started_at: UTC, ISO 8601.
        command: Arguments of the command.
        options: Its options by their names, those that were not given with their defaults.
        planned: Names of all comparisons.
        plans: One for each batch size, with tensors and with pictures; the same for every model.
        contenders: Keys of what is compared.
        setup: Whether the ease of setup is measured too.
        surroundings: Where and with what it is measured.
        kind: ``comparison runs``.
        schema_version: Of all lines.
    """

    started_at: str
    command: list[str]
    options: dict[str, Any]
    planned: list[str]
    plans: list[ComparisonPlan]
    contenders: list[str]
    setup: bool
    surroundings: Surroundings
    kind: str = KIND
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Begun:
    """A comparison has begun.

    Attributes:
        result: The comparison before anything was measured.
        artifact_sha256: Digest of the model's manifest, which holds one for every file of the artifact.
    """

    result: ComparisonResult
    artifact_sha256: str


@dataclass(frozen=True)
class OfComparison:
    """What a comparison that has begun came to.

    Attributes:
        comparison: Its name.
    """

    comparison: str


@dataclass(frozen=True)
class OfServer(OfComparison):
    """What a contender of a comparison came to.

    Attributes:
        server: Its key.
    """

    server: str


@dataclass(frozen=True)
class ForwardPasses(OfComparison):
    """The bare forward pass was timed.

    Attributes:
        times: One for each framework.
    """

    times: list[ForwardPassTime]


@dataclass(frozen=True)
class Planned(OfComparison):
    """The plan is known better: the common rate after the gate, or that there is a further round.

    Attributes:
        plan: The plan.
    """

    plan: ComparisonPlan


@dataclass(frozen=True)
class Ended(OfComparison):
    """A comparison is complete.

    Attributes:
        until_reached: Whether the intervals became as narrow as asked; None where no width was asked for.
        took_s: How long it took, in all of its sittings.
    """

    until_reached: bool | None
    took_s: Number


@dataclass(frozen=True)
class Failed(OfComparison):
    """A comparison measured nothing, and the others go on.

    Attributes:
        reason: Why.
    """

    reason: str


@dataclass(frozen=True)
class Started(OfServer):
    """A server answered its first prediction, at its gate.

    Attributes:
        label: What tables call it.
        started: What was started.
    """

    label: str
    started: dict[str, Any]


@dataclass(frozen=True)
class Answers(OfServer):
    """A server's answers were compared with the golden ones.

    Attributes:
        parity: How they compare.
    """

    parity: Parity


@dataclass(frozen=True)
class Configured(OfServer):
    """A server told its configuration.

    Attributes:
        message: Sizes of a request and of its answer.
        effective: The configuration.
    """

    message: MessageBytes
    effective: dict[str, Any]


@dataclass(frozen=True)
class RunEnded(OfServer):
    """A run has ended, valid or not.

    Attributes:
        round: Number of the round, from 1; 0 at the gate.
        part: `GATE`, `OPEN_LOOP`, `CLOSED_LOOP` or `CURVE`.
        first_prediction_s: Start of the server to its first correct prediction.
        run: What was measured.
        usage: What the server used in it; None where that is not known.
    """

    round: Count
    part: str
    first_prediction_s: Number
    run: RunResult
    usage: Usage | None


@dataclass(frozen=True)
class Audited(OfServer):
    """A server was audited for caching.

    Attributes:
        caching: What was found; None where it is not known how fast the server answers.
    """

    caching: Caching | None


@dataclass(frozen=True)
class Probed(OfServer):
    """A probe of a search of the capacity has ended; the result of the search holds it again.

    Attributes:
        probe: The probe.
    """

    probe: Probe


@dataclass(frozen=True)
class Searched(OfServer):
    """The search of a capacity has ended.

    Attributes:
        capacity: What it found.
    """

    capacity: Capacity


@dataclass(frozen=True)
class Layered(OfServer):
    """It was counted where the CPU time of a request goes.

    Attributes:
        breakdown: The layers.
    """

    breakdown: Breakdown


@dataclass(frozen=True)
class TurnEnded(OfServer):
    """The turn of a contender is over, and is not taken again.

    Attributes:
        stage: `GATE`, `ROUND`, `CAPACITY` or `LAYERS`.
        round: Number of the round, from 1; 0 in other stages.
        faults: What went wrong in it.
        took_s: How long it took, in seconds.
        elapsed_s: How long the comparison took so far, in all of its sittings.
    """

    stage: str
    round: Count
    faults: list[Finding]
    took_s: Number
    elapsed_s: Number


@dataclass(frozen=True)
class SetupMeasured:
    """The ease of setup with a model was measured; setup.json holds it.

    Attributes:
        model: Name of the model.
    """

    model: str


@dataclass(frozen=True)
class Resumed:
    """A further sitting has begun: `compare --resume`.

    Attributes:
        at: UTC, ISO 8601.
        changes: What is not as it was before, and does not keep the numbers from being compared.
    """

    at: str
    changes: list[str] = field(default_factory=list)


Entry: TypeAlias = (
    Begun
    | ForwardPasses
    | Planned
    | Ended
    | Failed
    | Started
    | Answers
    | Configured
    | RunEnded
    | Audited
    | Probed
    | Searched
    | Layered
    | TurnEnded
    | SetupMeasured
    | Resumed
)
"""Any line but the first one."""
