"""The same server over several wire formats: what a prediction costs beside the forward pass, and what is sent for it.

Reading and writing messages is told apart from inference by subtraction: the server's CPU time for a prediction at its
ceiling, less the bare forward pass. Over the wire formats of one server, the forward pass and all else is the same, so
what differs between them is the wire format.
"""

import math
from dataclasses import dataclass
from typing import Any

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import Estimate
from loadtest.judge.server_result import ServerResult
from loadtest.judge.summary import SummaryRow
from loadtest.report.answer import differs, listed, ratio_of
from loadtest.report.charting import stacked
from loadtest.report.figure import Cell, Column, Figure, Panel, Sign, Table, interval_cells, interval_columns
from loadtest.report.reading import span
from loadtest.report.supported_digits import supported, times
from loadtest.report.theme import role

CPU_PARTS = {"forward pass": 1.0, "all else: messages, server, framework": 0.5}
"""Parts of the CPU time for a prediction, and how strongly each is filled."""

MESSAGE_PARTS = {"request": 1.0, "answer": 0.5}


@dataclass(frozen=True)
class OverWire:
    """A server over one wire format.

    Attributes:
        found: Its result.
        row: Its row of the summary.
        cpu: CPU time of the server for a prediction at the ceiling, in milliseconds.
        forward_ms: Of these, the bare forward pass; NaN where it is not known.
    """

    found: ServerResult
    row: SummaryRow
    cpu: Estimate
    forward_ms: float

    @property
    def rest_ms(self) -> float:
        """CPU time for a prediction that is not the forward pass; NaN where it is not known."""
        return max(self.cpu.value - self.forward_ms, 0.0)


def over_wires(result: ComparisonResult) -> list[OverWire]:
    """One for each server and wire format.

    The forward pass was timed by the clock, which is CPU time only where it has a single thread: with several it is not
    told apart.
    """
    single = result.placement.server_threads == 1
    passes = {one.runtime: one.typical_ms / one.batch for one in result.forward_pass if single}
    rows = {row.key: row for row in result.summary}
    return [
        OverWire(one, rows[one.key], rows[one.key].cpu_s_per_1000_at_ceiling, passes.get(one.runtime, math.nan))
        for one in result.servers
        if one.key in rows
    ]


def figure(result: ComparisonResult) -> Figure:
    """CPU time and bytes for a prediction, a bar for each server and wire format."""
    found = over_wires(result) if len(result.wires) > 1 else []
    labels = result.names
    return Figure(
        key="wires",
        title="Wire by wire",
        finding=_finding(result, found),
        panels=[
            Panel("wires-cpu", "server CPU for a prediction at the ceiling, ms", _cpu(found, labels)),
            Panel("wires-bytes", "bytes in a request and in its answer", _bytes(found, labels)),
        ],
        tables=[_table(found, labels)] if found else [],
        legend=[
            *(Sign(part, role("muted"), "bar", opacity) for part, opacity in CPU_PARTS.items()),
            *(Sign(part, role("muted"), "bar", opacity) for part, opacity in MESSAGE_PARTS.items()),
        ],
        note=f"{_inputs(result)}, and its answers passed the same check. The forward pass is the bare one, in a "
        "process of its own. Bytes are those of bodies and messages, not of HTTP or gRPC.",
    )


def _inputs(result: ComparisonResult) -> str:
    if not result.plan.pictures:
        return "Every wire format carries the same inputs"
    return "Every wire format carries pictures of the same inputs, which the server decodes: that is part of all else"


def _cpu(found: list[OverWire], labels: dict[str, str]) -> dict[str, Any]:
    shown = [one for one in found if one.cpu.known]
    parts = {}
    for one in shown:
        forward = 0.0 if math.isnan(one.forward_ms) else min(one.forward_ms, one.cpu.value)
        parts[labels[one.found.key]] = dict(zip(CPU_PARTS, (forward, one.cpu.value - forward), strict=True))
    texts = {labels[one.found.key]: f"{labels[one.found.key]}: {span(one.cpu, 2, ' ms')}" for one in shown}
    return stacked(parts, texts, CPU_PARTS, "CPU, ms", list(labels.values()))


def _bytes(found: list[OverWire], labels: dict[str, str]) -> dict[str, Any]:
    parts, texts = {}, {}
    for one in found:
        sizes = one.found.message
        if sizes and math.isfinite(sizes.answer):
            name = labels[one.found.key]
            parts[name] = {"request": sizes.request, "answer": sizes.answer}
            texts[name] = f"{name}: {sizes.request:,.0f} and {sizes.answer:,.0f}"
    return stacked(parts, texts, MESSAGE_PARTS, "bytes", list(labels.values()))


def _table(found: list[OverWire], labels: dict[str, str]) -> Table:
    columns = [
        Column("server"),
        Column("wire format"),
        Column("request, bytes", 0),
        Column("answer, bytes", 0),
        *interval_columns("CPU for a prediction at the ceiling, ms", 3),
        Column("of it not the forward pass, ms", 3),
        *interval_columns("ceiling, requests/s", 1),
        *interval_columns("p50 at the common rate, ms", 3),
    ]
    rows: list[list[Cell]] = []
    for one in found:
        sizes = one.found.message
        rows.append(
            [
                labels[one.found.key],
                one.found.wire,
                sizes.request if sizes else None,
                sizes.answer if sizes else None,
                *interval_cells(one.cpu),
                one.rest_ms,
                *interval_cells(one.row.ceiling_rps),
                *interval_cells(one.row.p50_ms),
            ]
        )
    return Table("Each server over each wire format", columns, rows)


def _finding(result: ComparisonResult, found: list[OverWire]) -> str:
    """The ceilings of each server, the highest first, and how many times that of the first one where that is known."""
    told = []
    for key, name in result.server_names.items():
        mine = [one for one in found if one.found.server_key == key and one.row.ceiling_rps.known]
        if len(mine) < 2:
            continue
        order = sorted(mine, key=lambda one: -one.row.ceiling_rps.value)
        each = listed([f"{supported(one.row.ceiling_rps)} over {one.found.wire}" for one in order])
        ratio = ratio_of(result, order[0].found.key, mine[0].found.key, "ceiling")
        more = f" ({times(ratio)} as many as over {mine[0].found.wire})" if differs(ratio) else ""
        told.append(f"{name} {each}{more}")
    if not told:
        return "No server's ceiling is known over two wire formats."
    return f"Requests per second at the ceiling: {'; '.join(told)}."
