"""Where the time of a request goes: the forward pass, what the server adds to it, and the wait in the client.

Means and not percentiles are split, since only means add up: response time = wait for a connection + service time,
request by request. The forward pass was timed in a process of its own, see
`loadtest.servers.forward_pass`; what the server adds is the rest of the service time, the network included.
"""

import math
from dataclasses import dataclass
from typing import Any

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import Estimate, mean_estimate, paired_ratio
from loadtest.report.charting import stacked
from loadtest.report.figure import Cell, Column, Figure, Panel, Sign, Table, interval_cells, interval_columns
from loadtest.report.reading import span
from loadtest.report.theme import role

PARTS = {"forward pass": 1.0, "server overhead": 0.5, "wait in the client": 0.15}
"""Parts of a response time, and how strongly each is filled."""


@dataclass(frozen=True)
class Split:
    """Where a server's mean response time goes, at the common rate.

    Attributes:
        key: Server key.
        runtime: Framework of its forward pass.
        forward_ms: Forward pass alone; NaN where it was not measured.
        response: Mean response time in milliseconds.
        service: Mean service time.
        overhead: Service time less the forward pass.
        wait: Response time less service time.
    """

    key: str
    runtime: str
    forward_ms: float
    response: Estimate
    service: Estimate
    overhead: Estimate
    wait: Estimate

    @property
    def share(self) -> float:
        """Share of the service time that is not the forward pass; NaN where it is not known."""
        return self.overhead.value / self.service.value

    def parts_ms(self) -> list[float]:
        """The parts, in the order of `PARTS`; a forward pass that was not measured counts as overhead."""
        forward = 0.0 if math.isnan(self.forward_ms) else min(self.forward_ms, self.service.value)
        return [forward, self.service.value - forward, self.wait.value]


def splits(result: ComparisonResult) -> list[Split]:
    """One per server with a valid run at the common rate."""
    passes = {one.runtime: one.typical_ms for one in result.forward_pass}
    found = []
    for server in result.servers:
        runs = [one.open_loop for one in server.valid_rounds]
        response = [run.response_time_ms.mean for run in runs]
        service = [run.service_time_ms.mean for run in runs]
        if not runs:
            continue
        forward = passes.get(server.runtime, math.nan)
        found.append(
            Split(
                server.key,
                server.runtime,
                forward,
                mean_estimate(response),
                mean_estimate(service),
                mean_estimate([max(one - forward, 0.0) for one in service]),
                mean_estimate([one - two for one, two in zip(response, service, strict=True)]),
            )
        )
    return found


def twins(result: ComparisonResult) -> dict[str, str]:
    """Keys of one server that was measured with several frameworks, by framework; empty where there is none.

    Against such a server the other ones can be compared with the framework being the same.
    """
    by_name: dict[tuple[str, str], dict[str, str]] = {}
    for server in result.servers:
        if server.valid_rounds:
            name = server.server_key.partition(":")[0]
            by_name.setdefault((name, server.wire), {}).setdefault(server.runtime, server.key)
    return max((found for found in by_name.values() if len(found) > 1), key=len, default={})


def figure(result: ComparisonResult) -> Figure:
    """Stacked parts of the mean response time, a bar per server."""
    labels = result.names
    found = splits(result)
    return Figure(
        key="overhead",
        title="Parts of the response time",
        finding=_finding(result, found, labels),
        panels=[Panel("overhead-parts", "mean response time at the common rate, ms", _spec(found, labels), wide=True)],
        tables=[_table(found, labels), *_twin_tables(result, found, labels)],
        legend=[Sign(part, role("muted"), "bar", opacity) for part, opacity in PARTS.items()],
        note="The forward pass was timed in a process of its own, with neither server nor network. "
        "Server overhead is the rest of the service time: reading the request, queues and workers of the server, the "
        "framework's way in and out, writing the answer, the network. Means are split, since only means add up.",
    )


def _spec(found: list[Split], labels: dict[str, str]) -> dict[str, Any]:
    parts = {labels[split.key]: dict(zip(PARTS, split.parts_ms(), strict=True)) for split in found}
    texts = {labels[split.key]: f"{labels[split.key]}: {span(split.response, 2, ' ms')}" for split in found}
    return stacked(parts, texts, PARTS, "mean, ms", list(labels.values()))


def _table(found: list[Split], labels: dict[str, str]) -> Table:
    columns = [Column("server"), Column("framework"), Column("forward pass, ms", 3)]
    columns += [*interval_columns("server overhead, ms", 3), Column("overhead of the service time, %", 1)]
    columns += interval_columns("wait in the client, ms", 3) + interval_columns("mean response time, ms", 3)
    rows: list[list[Cell]] = [
        [
            labels[split.key],
            split.runtime,
            split.forward_ms,
            *interval_cells(split.overhead),
            100 * split.share,
            *interval_cells(split.wait),
            *interval_cells(split.response),
        ]
        for split in found
    ]
    return Table("Parts of the mean response time at the common rate", columns, rows)


def _twin_tables(result: ComparisonResult, found: list[Split], labels: dict[str, str]) -> list[Table]:
    pair = twins(result)
    rows: list[list[Cell]] = []
    for split in found:
        twin = pair.get(split.runtime)
        if twin is not None and twin != split.key:
            ratio = paired_ratio(_service(result, split.key), _service(result, twin))
            rows.append([labels[split.key], labels[twin], split.runtime, *interval_cells(ratio)])
    if not rows:
        return []
    columns = [Column("server"), Column("against"), Column("framework of both")]
    columns += interval_columns("service time, ratio", 3)
    return [Table("The same framework behind another server", columns, rows)]


def _service(result: ComparisonResult, key: str) -> dict[int, float]:
    """Mean service time of each valid round."""
    return {one.number: one.open_loop.service_time_ms.mean for one in result.of(key).valid_rounds}


def _finding(result: ComparisonResult, found: list[Split], labels: dict[str, str]) -> str:
    if not found:
        return "No valid run at the common rate."
    known = [split for split in found if not math.isnan(split.share)]
    if not known:
        return (
            "The forward pass alone was not measured, since the frameworks are not installed where the load tester "
            "ran: what the server adds to it cannot be told apart here."
        )
    shares = "; ".join(f"{labels[split.key]} {split.share:.0%}" for split in known)
    text = f"Share of the service time that is not the model's forward pass, its overhead: {shares}."
    pair = [split for split in found if split.key in twins(result).values()]
    if len(pair) > 1:
        times = " and ".join(f"{span(split.service, 2, ' ms')} with {split.runtime}" for split in pair)
        text += f" {_common(labels, pair)}, one server with either framework, serves in {times}."
    return text


def _common(labels: dict[str, str], pair: list[Split]) -> str:
    name = pair[0].key.partition(":")[0]
    return labels.get(name, name).partition(" (")[0]
