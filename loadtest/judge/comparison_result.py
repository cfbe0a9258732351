"""The result of a comparison: what result.json holds, and what every table, figure and page is made from."""

from dataclasses import dataclass, field
from typing import Any

from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.method import FIRST
from loadtest.judge.server_result import ServerResult
from loadtest.judge.summary import Ratio, SummaryRow
from loadtest.machine.host import Host
from loadtest.machine.placement import Placement
from loadtest.servers.forward_pass import ForwardPassTime

SCHEMA_VERSION = 3
KIND = "comparison"


@dataclass(frozen=True)
class MeasuredWorkload:
    """The model that was served.

    Attributes:
        name: Its name.
        version: Its version.
        accuracy: The figure that says how good it is on held-out examples.
        seed: Seed of its training.
        tolerance: Largest difference that an answer may have from the golden one.
        torch_form: Form in which PyTorch's servers run it.
        versions: Versions of the libraries that it was built with.
        weights_sha256: Checksum of its weights.
        quality: What that figure is called.
    """

    name: str
    version: str
    accuracy: float
    seed: int
    tolerance: float
    torch_form: str | None
    versions: dict[str, str]
    weights_sha256: str
    quality: str = "accuracy"


@dataclass
class ComparisonResult:
    """A comparison; complete or not, it can be reported.

    Attributes:
        started_at: UTC, ISO 8601.
        command: Arguments of the command.
        plan: What was asked for, and the common rate.
        host: The machine of the client.
        launcher: What the servers ran in.
        placement: Cores of the servers and of the client.
        workload: The model.
        forward_pass: The forward pass alone, per framework.
        servers: One per server.
        summary: One row per server: its numbers, each with its interval over the rounds.
        ratios: Every server against every later one.
        complete: Whether every round was run.
        kind: ``comparison``.
        schema_version: Of this record.
        method: How it was measured; see `loadtest.judge.method`.
        until_reached: Whether the intervals became as narrow as the plan asks; None where it asks for no width.
    """

    started_at: str
    command: list[str]
    plan: ComparisonPlan
    host: Host
    launcher: dict[str, Any]
    placement: Placement
    workload: MeasuredWorkload
    forward_pass: list[ForwardPassTime]
    servers: list[ServerResult]
    summary: list[SummaryRow] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    complete: bool = False
    kind: str = KIND
    schema_version: int = SCHEMA_VERSION
    method: int = FIRST
    until_reached: bool | None = None

    @property
    def names(self) -> dict[str, str]:
        """What each server is called, by its key; the key is added where two share a label."""
        labels = [server.label for server in self.servers]
        return {
            server.key: server.label if labels.count(server.label) == 1 else f"{server.label} ({server.key})"
            for server in self.servers
        }
