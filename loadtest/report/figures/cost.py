"""What predictions cost: CPU seconds, memory, and money at a price that the reader sets."""

import math
from dataclasses import dataclass

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import Estimate, geometric_estimate
from loadtest.report.charting import bars
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, interval_cells, interval_columns
from loadtest.report.reading import span

MILLION = 1_000_000


@dataclass(frozen=True)
class Cost:
    """What a server takes.

    Attributes:
        key: Server key.
        at_ceiling: CPU seconds of its process tree per 1,000 predictions, in the closed loop.
        at_common_rate: The same at the common rate, where it has less to do.
        peak_mib: Peak memory.
        gib_s_per_1000: Memory held times the time that 1,000 predictions take at the ceiling, in GiB seconds.
        used_core_s: Core-seconds per million predictions, as used at the ceiling.
        held_core_s: The same where all cores are paid for and the server runs at `full_rps`.
        full_rps: The capacity found, or else the closed-loop ceiling: predictions per second.
        full_is: Which of the two.
    """

    key: str
    at_ceiling: Estimate
    at_common_rate: Estimate
    peak_mib: Estimate
    gib_s_per_1000: Estimate
    used_core_s: float
    held_core_s: float
    full_rps: float
    full_is: str


def costs(result: ComparisonResult) -> list[Cost]:
    """One per server."""
    batch, cores = result.plan.batch, server_cores(result)
    rows = {row.key: row for row in result.summary}
    found = []
    for server in result.servers:
        row = rows[server.key]
        held = [
            one.closed_usage.peak_mib / 1024 * 1000 / (one.closed_loop.throughput_rps * batch)
            for one in server.valid_ceiling_rounds
            if one.closed_usage and one.closed_loop.throughput_rps
        ]
        capacity = server.capacity
        full, full_is = (
            (capacity.rate_rps, "capacity") if capacity and capacity.rate_rps else (row.ceiling_rps.value, "ceiling")
        )
        found.append(
            Cost(
                server.key,
                row.cpu_s_per_1000_at_ceiling,
                row.cpu_s_per_1000_at_common_rate,
                row.peak_mib,
                geometric_estimate(held),
                row.cpu_s_per_1000_at_ceiling.value * MILLION / 1000,
                cores * MILLION / (full * batch),
                full * batch,
                full_is,
            )
        )
    return found


def server_cores(result: ComparisonResult) -> int:
    """Cores that a server had for itself; all of the machine's where nothing was pinned."""
    return len(result.placement.server) or int(result.host.cores)


def figure(result: ComparisonResult) -> Figure:
    """CPU and memory as bars; the money stands in the page's own table, see `money`."""
    labels = result.names
    order = list(labels.values())
    found = costs(result)
    panels = []
    for key, title, digits, values in (
        ("cpu", "CPU seconds per 1,000 predictions at the ceiling", 2, [cost.at_ceiling for cost in found]),
        ("memory", "peak memory, MiB", 0, [cost.peak_mib for cost in found]),
    ):
        rows = [
            {
                "server": labels[cost.key],
                "value": value.value,
                "low": value.low,
                "high": value.high,
                "text": span(value, digits),
                "caption": f"{labels[cost.key]}: {span(value, digits)}",
            }
            for cost, value in zip(found, values, strict=True)
        ]
        panels.append(Panel(f"cost-{key}", title, bars(rows, key, title, order)))
    return Figure(
        key="cost",
        title="CPU and memory",
        finding=_finding(found, labels),
        panels=panels,
        tables=[_table(found, labels)],
        note="CPU seconds are those of all of a server's processes, read from the kernel under the closed loop: at a "
        "lower rate a part of them is spent on waiting. Peak memory is the sum of each process's own peak, under the "
        "closed loop too. Lines are 95 % intervals.",
    )


def money(result: ComparisonResult) -> Table:
    """Core-seconds per million predictions, in columns that a page shows as money."""
    labels = result.names
    columns = [
        Column("server"),
        Column("per million, CPU time used at the ceiling", 3, priced=True),
        Column("per million, all cores paid for", 3, priced=True),
        Column("at predictions/s", 0),
        Column("which"),
    ]
    rows: list[list[Cell]] = [
        [labels[cost.key], cost.used_core_s, cost.held_core_s, cost.full_rps, f"the {cost.full_is}"]
        for cost in costs(result)
    ]
    return Table("Money per million predictions", columns, rows)


def _table(found: list[Cost], labels: dict[str, str]) -> Table:
    columns = [
        Column("server"),
        *interval_columns("CPU seconds per 1,000 at the ceiling", 3),
        *interval_columns("CPU seconds per 1,000 at the common rate", 3),
        *interval_columns("peak memory, MiB", 0),
        *interval_columns("memory held for 1,000 at the ceiling, GiB s", 3),
    ]
    rows: list[list[Cell]] = [
        [
            labels[cost.key],
            *interval_cells(cost.at_ceiling),
            *interval_cells(cost.at_common_rate),
            *interval_cells(cost.peak_mib),
            *interval_cells(cost.gib_s_per_1000),
        ]
        for cost in found
    ]
    return Table("CPU seconds and memory", columns, rows)


def _finding(found: list[Cost], labels: dict[str, str]) -> str:
    cpu = [cost for cost in found if cost.at_ceiling.known]
    memory = [cost for cost in found if not math.isnan(cost.peak_mib.value)]
    told = []
    if cpu:
        listed = "; ".join(f"{labels[cost.key]} {span(cost.at_ceiling, 2)}" for cost in cpu)
        told.append(f"CPU seconds per 1,000 predictions at the ceiling: {listed}.")
    if memory:
        listed = "; ".join(f"{labels[cost.key]} {span(cost.peak_mib, 0)}" for cost in memory)
        told.append(f"Peak memory in MiB: {listed}.")
    return " ".join(told) or "No valid run."
