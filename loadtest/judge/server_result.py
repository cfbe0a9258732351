"""The result of one server in a comparison: its gate, its rounds and its capacity."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loadtest.judge.breakdown import Breakdown
from loadtest.judge.caching import Caching
from loadtest.judge.capacity_result import Capacity
from loadtest.judge.findings import Finding
from loadtest.judge.run_result import RunResult
from loadtest.machine.usage import Usage
from loadtest.records import Count, Number
from loadtest.servers.server_folder import DEFAULT_WIRE


def contender_key(server: str, wire: str) -> str:
    """A server as it was asked: ``flask_server`` over JSON, row by row, ``flask_server+npy`` over another format."""
    return server if wire == DEFAULT_WIRE else f"{server}+{wire}"


@dataclass(frozen=True)
class MessageBytes:
    """Mean sizes of a request and of the answer to it, in bytes, without what HTTP or gRPC adds.

    Attributes:
        request: Of the request.
        answer: Of the answer.
    """

    request: Number
    answer: Number


@dataclass(frozen=True)
class Parity:
    """How a server's answers compare with the golden ones.

    Attributes:
        checked: Predictions compared.
        worst: Largest absolute difference of any output element; infinite where an answer was no prediction.
        tolerance: What is allowed.
        faults: One line for each request whose answer was wrong; empty where the server agrees.
    """

    checked: Count
    worst: Number
    tolerance: float
    faults: list[str]

    @property
    def agrees(self) -> bool:
        """Whether every answer was right."""
        return not self.faults


@dataclass(frozen=True)
class Round:
    """What one round measured of one server.

    Attributes:
        number: From 1.
        first_prediction_s: Start to first correct prediction.
        open_loop: The run at the common rate.
        closed_loop: The run at the server's ceiling.
        open_usage: Server's CPU seconds in the open-loop run, and its memory after it.
        closed_usage: The same of the closed-loop run.
        curve: Open-loop runs at the rates of the load curve, lowest first.
    """

    number: int
    first_prediction_s: Number
    open_loop: RunResult
    closed_loop: RunResult
    open_usage: Usage | None
    closed_usage: Usage | None
    curve: list[RunResult] = field(default_factory=list)

    @property
    def runs(self) -> Iterator[tuple[str, RunResult]]:
        """Every run with its name, valid or not."""
        yield f"round {self.number}, open loop", self.open_loop
        yield f"round {self.number}, closed loop", self.closed_loop
        for run in self.curve:
            yield f"round {self.number}, {run.run.rate:,.0f}/s", run


@dataclass
class ServerResult:
    """Everything known of one server in a comparison; filled in while the comparison goes on.

    Attributes:
        key: What it is called in results and thresholds: see `contender_key`.
        label: What tables call the server.
        runtime: ``torch`` or ``tensorflow``.
        facts: What a reader of any table must know of it.
        started: What was started.
        effective: Configuration read back from the server.
        parity: The gate; None where the server did not start.
        faults: What went wrong; such a server keeps its place in the table.
        gate_ceiling_rps: Closed-loop throughput at the gate, from which the common rate is drawn.
        rounds: Rounds so far.
        capacity: What the capacity search found, where one was asked for.
        gate: The closed loop at the gate.
        caching: What the caching audit found; None where there was none.
        server: Server key; empty in results that are older, whose `key` it is.
        wire: Wire format over which it was asked.
        message: How large requests and answers are; None where that is not known.
        breakdown: Where the CPU time of a request goes, layer by layer; None where it was not asked.
    """

    key: str
    label: str
    runtime: str
    facts: str
    started: dict[str, Any] = field(default_factory=dict)
    effective: dict[str, Any] = field(default_factory=dict)
    parity: Parity | None = None
    faults: list[Finding] = field(default_factory=list)
    gate_ceiling_rps: Number = float("nan")
    rounds: list[Round] = field(default_factory=list)
    capacity: Capacity | None = None
    gate: RunResult | None = None
    caching: Caching | None = None
    server: str = ""
    wire: str = DEFAULT_WIRE
    message: MessageBytes | None = None
    breakdown: Breakdown | None = None

    @property
    def server_key(self) -> str:
        """Key of the server, whatever it was asked over."""
        return self.server or self.key

    @property
    def runs(self) -> Iterator[tuple[str, RunResult]]:
        """Every run of its rounds with its name, valid or not."""
        for one in self.rounds:
            yield from one.runs

    @property
    def valid_rounds(self) -> list[Round]:
        """The rounds whose run at the common rate is valid."""
        return [one for one in self.rounds if one.open_loop.verdict.valid]

    @property
    def valid_ceiling_rounds(self) -> list[Round]:
        """The rounds whose closed-loop run is valid."""
        return [one for one in self.rounds if one.closed_loop.verdict.valid]
