"""What tuning a server found: every configuration that was tried, the one that is used, and what each knob is worth."""

import math
from dataclasses import dataclass, field
from typing import Any

from loadtest.judge.findings import Finding
from loadtest.judge.intervals import NOT_KNOWN, Estimate
from loadtest.machine.host import Host
from loadtest.records import Count, Number
from loadtest.servers.tuning_space import Value

KIND = "tuning"
SCHEMA_VERSION = 1

SEARCH, FINAL, CONFIRMATION = "search", "final", "confirmation"
"""Stages: candidates are looked for, the best few measured again, and one of them held against the default."""


@dataclass(frozen=True)
class Trial:
    """One measurement of one configuration.

    Attributes:
        number: From 1.
        stage: `SEARCH`, `FINAL` or `CONFIRMATION`.
        round: Round of its stage, 0 in the search.
        configuration: A value for each knob.
        capacity_rps: Highest rate that meets the objective, requests per second; 0 where none does, or where the
            configuration is out, NaN where the client or the host kept it from being measured.
        peak_mib: Peak memory of its process tree; NaN where it was not read.
        took_s: From its start to its end, in seconds.
        out: Why the configuration is out: it did not start, answered wrongly or took too much memory; empty where it
            is not.
        limits: What kept the client or the host from offering a rate; the capacity is then a lower bound, or not known.
    """

    number: Count
    stage: str
    round: Count
    configuration: dict[str, Value]
    capacity_rps: Number
    peak_mib: Number = math.nan
    took_s: Number = math.nan
    out: str = ""
    limits: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class KnobWorth:
    """What a knob of the tuned configuration is worth: that configuration beside itself with the knob at its default.

    Attributes:
        name: Which knob.
        default: Its default.
        tuned: Its value in the tuned configuration.
        ratio: Capacity of the tuned configuration over that with the knob put back; NaN where it was not measured.
        out: Why the configuration with the knob put back is out; empty where it is not.
    """

    name: str
    default: Value
    tuned: Value
    ratio: Estimate = NOT_KNOWN
    out: str = ""


@dataclass(frozen=True)
class Outcome:
    """What the search ended with.

    Attributes:
        default: The default configuration.
        tuned: The best one that was found; the default where none was.
        better: Whether its advantage is outside of the spread of the rounds: else the default is kept.
        default_rps: Capacity of the default, over the rounds of the confirmation.
        tuned_rps: That of the best one.
        ratio: The second over the first, round by round.
        worth: What each knob is worth that is not at its default.
        trials: Every measurement.
        proposed_by: ``grid``, or the optimiser with its version.
        configurations: How many different ones there are.
    """

    default: dict[str, Value]
    tuned: dict[str, Value]
    better: bool
    default_rps: Estimate
    tuned_rps: Estimate
    ratio: Estimate
    worth: list[KnobWorth]
    trials: list[Trial]
    proposed_by: str
    configurations: Count


@dataclass(frozen=True)
class Tuning:
    """A server that was tuned, and under what it was.

    Attributes:
        server: Server key.
        label: What tables call the server in its default form, as it was started.
        workload: The model.
        workload_version: Its version.
        weights_sha256: Checksum of its weights.
        wire: Wire format of the requests.
        batch: Instances in one request.
        connections: Connections of the client.
        cores: Cores of the server.
        slo: The objective, as people write it.
        errors: Share of requests that may fail, from 0 to 1.
        memory_mib: Limit of the process tree's memory.
        budget_s: Seconds that were asked for.
        seed: Of the schedules and of the search.
        started_at: UTC, ISO 8601.
        took_s: How long it took.
        command: Arguments of the command.
        host: The machine.
        launcher: What the server ran in.
        versions: Versions of the server's software.
        outcome: What was found.
        files: Files of the tuned configuration, in the folder of this record.
    """

    server: str
    label: str
    workload: str
    workload_version: str
    weights_sha256: str
    wire: str
    batch: Count
    connections: Count
    cores: Count
    slo: str
    errors: float
    memory_mib: float
    budget_s: float
    seed: Count
    started_at: str
    took_s: float
    command: list[str]
    host: Host
    launcher: dict[str, Any]
    versions: dict[str, str]
    outcome: Outcome
    files: list[str]
    kind: str = KIND
    schema_version: int = SCHEMA_VERSION

    @property
    def words(self) -> str:
        """What the label of the tuned server says after the server's: ``tuned for p99<50ms on 1 core``."""
        return f"tuned for {self.slo} on {self.cores} core{'s' if self.cores != 1 else ''}"
