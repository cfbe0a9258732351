"""The result of a comparison of servers over one model: what every table, figure and section of a page is made from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.method import FIRST
from loadtest.judge.server_result import ServerResult
from loadtest.judge.summary import Ratio, SummaryRow
from loadtest.machine.host import Host
from loadtest.machine.placement import Placement
from loadtest.records import Number
from loadtest.servers.forward_pass import ForwardPassTime


@dataclass(frozen=True)
class MeasuredWorkload:
    """The model that was served.

    Attributes:
        name: Its name.
        version: Its version.
        quality: What the figure is called that says how good it is, such as ``accuracy``.
        quality_value: That figure, on held-out examples.
        seed: Seed of its training.
        tolerance: Largest difference that an answer may have from the golden one.
        torch_form: Form in which PyTorch's servers run it.
        versions: Versions of the libraries that it was built with.
        weights_sha256: Checksum of its weights.
    """

    name: str
    version: str
    quality: str
    quality_value: float
    seed: int
    tolerance: float
    torch_form: str | None
    versions: dict[str, str]
    weights_sha256: str


@dataclass
class ComparisonResult:
    """A comparison over one model with one batch size; complete or not, it can be reported.

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
        method: How it was measured; see `loadtest.judge.method`.
        until_reached: Whether the intervals became as narrow as the plan asks; None where it asks for no width.
        took_s: How long it was measured so far, in seconds, without the ease of setup; NaN where it is not known.
        resumed: When it was gone on with after it had been ended, each time: UTC, ISO 8601.
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
    method: int = FIRST
    until_reached: bool | None = None
    took_s: Number = math.nan
    resumed: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is called among the comparisons of a result; see `comparison_name`."""
        return comparison_name(self.workload.name, self.plan.batch, pictures=self.plan.pictures)

    def of(self, key: str) -> ServerResult:
        """The result of one server.

        Args:
            key: Server key, of one that was compared.
        """
        return next(server for server in self.servers if server.key == key)

    @property
    def names(self) -> dict[str, str]:
        """What each is called, by its key: the server's label, and the wire format where there are several.

        The key is added where that is not enough to tell two apart.
        """
        several = len(self.wires) > 1
        return _told_apart({one.key: f"{one.label} over {one.wire}" if several else one.label for one in self.servers})

    @property
    def server_names(self) -> dict[str, str]:
        """What each server is called, by its own key, whatever it was asked over."""
        return _told_apart({one.server_key: one.label for one in self.servers})

    @property
    def wires(self) -> list[str]:
        """The wire formats over which servers were asked."""
        return list(dict.fromkeys(server.wire for server in self.servers))

    def over(self, server: str) -> list[ServerResult]:
        """The results of one server, one for each wire format.

        Args:
            server: Server key.
        """
        return [one for one in self.servers if one.server_key == server]


def _told_apart(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels by key; the key is added where two share one."""
    known = list(labels.values())
    return {key: label if known.count(label) == 1 else f"{label} ({key})" for key, label in labels.items()}


def comparison_name(workload: str, batch: int, *, pictures: bool = False) -> str:
    """The name of a comparison: that of its model, what it was asked with, and several instances of a request.

    Args:
        workload: Name of the model.
        batch: Instances in one request: ``imagenet@8``.
        pictures: Whether it was asked with encoded pictures: ``imagenet-pictures``. A model's name has no dash.
    """
    asked = f"{workload}-pictures" if pictures else workload
    return asked if batch == 1 else f"{asked}@{batch}"
