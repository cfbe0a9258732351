"""What changes with the number of instances in one request: predictions per second, and how long a request takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.judge.comparison_result import ComparisonResult, comparison_name
from loadtest.judge.intervals import Estimate
from loadtest.judge.summary import SummaryRow
from loadtest.report.charting import LogAxis, Point, lines
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, interval_cells, interval_columns, server_signs
from loadtest.report.reading import Results


@dataclass(frozen=True)
class Shown:
    """One measure.

    Attributes:
        key: Of its panel.
        title: What it shows.
        of: Its value, from a server's row and the instances in a request.
        drawn: Whether it has a panel and not only columns.
    """

    key: str
    title: str
    of: Callable[[SummaryRow, int], Estimate]
    drawn: bool = True


MEASURES = (
    Shown("predictions", "predictions per second at the ceiling", lambda row, batch: row.ceiling_rps.scaled(batch)),
    Shown("p50", "p50 response time at the common rate, ms", lambda row, _: row.p50_ms),
    Shown("p95", "p95 response time at the common rate, ms", lambda row, _: row.p95_ms, drawn=False),
    Shown("p99", "p99 response time at the common rate, ms", lambda row, _: row.p99_ms, drawn=False),
    Shown("cpu", "CPU s per 1,000 at the ceiling", lambda row, _: row.cpu_s_per_1000_at_ceiling, drawn=False),
)


def by_model(results: Results) -> dict[str, list[ComparisonResult]]:
    """The comparisons of each model that has several batch sizes, the smallest first; those with pictures apart."""
    found: dict[str, list[ComparisonResult]] = {}
    for one in results.comparisons.values():
        found.setdefault(comparison_name(one.workload.name, 1, pictures=one.plan.pictures), []).append(one)
    several = {model: compared for model, compared in found.items() if len(compared) > 1}
    return {model: sorted(compared, key=lambda one: one.plan.batch) for model, compared in several.items()}


def figure(model: str, compared: Sequence[ComparisonResult]) -> Figure:
    """Each measure over the batch size, a line for each server.

    Args:
        model: Which one, and whether it was asked with pictures.
        compared: Its comparisons, the smallest batch size first.
    """
    labels = {key: label for result in compared for key, label in result.names.items()}
    rates = ", ".join(f"{one.plan.common_rate_rps:,.3g} with {one.plan.batch}" for one in compared)
    return Figure(
        key=f"batch-size-{model}",
        title=f"{model}: batch sizes",
        finding=_finding(compared),
        panels=[_panel(model, shown, compared, labels) for shown in MEASURES if shown.drawn],
        tables=[_table(compared, labels)],
        legend=server_signs(list(labels.values())),
        note="A line through a point is its 95 % interval over the rounds. Each batch size has a common rate of its "
        f"own, half of what its slowest server carries, in requests per second: {rates}.",
    )


def _panel(model: str, shown: Shown, compared: Sequence[ComparisonResult], labels: dict[str, str]) -> Panel:
    points = [
        Point(labels[row.key], result.plan.batch, f"{result.plan.batch:,}", shown.of(row, result.plan.batch))
        for result in compared
        for row in result.summary
    ]
    sizes = [float(result.plan.batch) for result in compared]
    x = LogAxis(sizes[0] / 1.2, sizes[-1] * 1.2, sizes)
    titles = ("instances in a request", shown.title)
    spec = lines(points, f"batch_size_{shown.key}", x, titles, list(labels.values()))
    return Panel(f"batch-size-{model}-{shown.key}", shown.title, spec)


def _table(compared: Sequence[ComparisonResult], labels: dict[str, str]) -> Table:
    columns = [Column("instances in a request", 0), Column("server"), Column("common rate, requests/s", 1)]
    for shown in MEASURES:
        columns += interval_columns(shown.title, 2)
    rows: list[list[Cell]] = [
        [
            result.plan.batch,
            labels[row.key],
            result.plan.common_rate_rps,
            *(cell for shown in MEASURES for cell in interval_cells(shown.of(row, result.plan.batch))),
        ]
        for result in compared
        for row in result.summary
    ]
    return Table("Each batch size with each server", columns, rows)


def _finding(compared: Sequence[ComparisonResult]) -> str:
    """How many times the predictions of the smallest batch size each server makes with the size that is best for it."""
    base = compared[0]
    told = []
    for row in base.summary:
        here = {
            one.plan.batch: each.ceiling_rps.scaled(one.plan.batch)
            for one in compared
            for each in one.summary
            if each.key == row.key
        }
        known = {batch: value.value for batch, value in here.items() if value.known}
        if base.plan.batch in known and len(known) > 1:
            best = max(known, key=lambda batch: known[batch])
            told.append(f"{base.names[row.key]} {known[best] / known[base.plan.batch]:.2g} times with {best}")
    if not told:
        return "The ceilings are not known with two batch sizes at least."
    return (
        f"Predictions per second at the ceiling, as a multiple of those with {base.plan.batch} in a request, with the "
        f"batch size that is best for each server: {'; '.join(told)}."
    )
