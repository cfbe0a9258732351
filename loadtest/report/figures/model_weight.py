"""What changes with the weight of the model: the share of the bare forward pass that is left, the tax, the ranking.

The weight of a model is the time of its bare forward pass, see `loadtest.servers.forward_pass`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import NOT_KNOWN, Estimate
from loadtest.report.answer import ESTABLISHED, differs, listed, ratio_of
from loadtest.report.charting import LogAxis, Point, lines
from loadtest.report.figure import Cell, Column, Figure, Panel, Table, interval_cells, interval_columns, server_signs
from loadtest.report.figures.overhead import splits
from loadtest.report.reading import Results


@dataclass(frozen=True)
class Served:
    """A model behind a server.

    Attributes:
        name: Of the comparison.
        key: Server key.
        forward_ms: Bare forward pass in the server's framework.
        share: Predictions at the server's ceiling, as a share of those of the bare forward pass on the same cores.
        tax: Mean service time at the common rate less the forward pass, in milliseconds.
        behind: Median response time at the common rate, as a multiple of the shortest one with this model.
    """

    name: str
    key: str
    forward_ms: float
    share: Estimate
    tax: Estimate
    behind: Estimate


@dataclass(frozen=True)
class Shown:
    """One panel.

    Attributes:
        key: Of the panel.
        title: What it shows.
        of: Its value.
        ends: Values that its axis holds in any case.
    """

    key: str
    title: str
    of: Callable[[Served], Estimate]
    ends: tuple[float, ...] = ()


PANELS = (
    Shown(
        "share", "share of the bare forward pass reached at the ceiling, %", lambda one: one.share.scaled(100), (100.0,)
    ),
    Shown("tax", "what the server adds to the forward pass, ms", lambda one: one.tax),
    Shown("behind", "median response time, multiple of the shortest", lambda one: one.behind, (1.0, 2.0)),
)


def models(results: Results) -> list[ComparisonResult]:
    """Each model with its smallest batch, the lightest model first; only those whose forward pass is known.

    Where some were asked with tensors and some with encoded pictures, only the former: the two do not stand together.
    """
    first: dict[str, ComparisonResult] = {}
    every = results.comparisons.values()
    alike = [one for one in every if not one.plan.pictures] or every
    for one in sorted(alike, key=lambda one: one.plan.batch):
        first.setdefault(one.workload.name, one)
    return sorted((one for one in first.values() if one.forward_pass), key=weight_ms)


def weight_ms(result: ComparisonResult) -> float:
    """The bare forward pass of one request, in milliseconds: the geometric mean of the frameworks."""
    times = [one.typical_ms for one in result.forward_pass]
    return math.exp(sum(map(math.log, times)) / len(times))


def served(result: ComparisonResult) -> list[Served]:
    """One for each server whose framework's forward pass is known."""
    passes = {one.runtime: one.typical_ms for one in result.forward_pass}
    taxes = {one.key: one.overhead for one in splits(result)}
    rows = {row.key: row for row in result.summary}
    first = fastest(result)
    return [
        Served(
            result.name,
            server.key,
            passes[server.runtime],
            # A request holds as many predictions as the forward pass that was timed.
            rows[server.key].ceiling_rps.scaled(passes[server.runtime] / 1000),
            taxes.get(server.key, NOT_KNOWN),
            Estimate(1.0, 1.0, 1.0) if server.key == first else ratio_of(result, server.key, first, "p50"),
        )
        for server in result.servers
        if server.runtime in passes and server.key in rows
    ]


def fastest(result: ComparisonResult) -> str:
    """Key of the server with the shortest median; empty where none is known."""
    medians = {row.key: row.p50_ms.value for row in result.summary if math.isfinite(row.p50_ms.value)}
    return min(medians, key=lambda key: medians[key], default="")


def figure(results: Results) -> Figure:
    """Each measure over the weight of the model, a panel each and a line for each server."""
    compared = models(results)
    labels = {key: label for result in compared for key, label in result.names.items()}
    found = [one for result in compared for one in served(result)]
    x = LogAxis.around([one.forward_ms for one in found], margin=1.4)
    names = ", ".join(f"{one.name} {weight_ms(one):,.3g} ms" for one in compared)
    return Figure(
        key="model-weight",
        title="Serving tax and ranking over the weight of the model",
        finding=f"{_shares(compared)} {_rankings(compared)}",
        panels=[_panel(shown, found, labels, x, {one.name: weight_ms(one) for one in compared}) for shown in PANELS],
        tables=[_table(found, labels)],
        legend=server_signs(list(labels.values())),
        note=f"Each model stands at the time of its bare forward pass in the server's framework ({names} on average), "
        "which runs in a process of its own on the server's cores. A line through a point is its 95 % interval over "
        "the rounds; that of the forward pass is not in it. What a server adds holds the waiting in its queue; each "
        "model has its own common rate.",
    )


def _panel(
    shown: Shown, found: Sequence[Served], labels: dict[str, str], x: LogAxis, places: dict[str, float]
) -> Panel:
    points = [
        Point(labels[one.key], one.forward_ms, f"{one.name}, {one.forward_ms:,.3g} ms", shown.of(one)) for one in found
    ]
    titles = ("bare forward pass, ms", shown.title)
    name, order = f"model_weight_{shown.key}", list(labels.values())
    return Panel(
        f"model-weight-{shown.key}",
        shown.title,
        lines(points, name, x, titles, order, ends=shown.ends, places=places),
    )


def _table(found: Sequence[Served], labels: dict[str, str]) -> Table:
    columns = [Column("model"), Column("server"), Column("bare forward pass, ms", 3)]
    for shown in PANELS:
        columns += interval_columns(shown.title, 2)
    rows: list[list[Cell]] = []
    for one in found:
        values = [cell for shown in PANELS for cell in interval_cells(shown.of(one))]
        rows.append([one.name, labels[one.key], one.forward_ms, *values])
    return Table("Each model behind each server", columns, rows)


def _shares(compared: Sequence[ComparisonResult]) -> str:
    told = []
    for result in compared:
        known = sorted((one for one in served(result) if one.share.known), key=lambda one: -one.share.value)
        if known:
            each = ", ".join(f"{result.names[one.key]} {one.share.value:.0%}" for one in known)
            told.append(f"{result.name} {each}")
    if not told:
        return "No server has a ceiling that can be believed."
    return f"Of the bare forward pass a server reaches at its ceiling, with {'; with '.join(told)}."


def _rankings(compared: Sequence[ComparisonResult]) -> str:
    """The servers in the order of their medians; those between which no difference is established stand together."""
    told = []
    for result in compared:
        known = [row for row in result.summary if math.isfinite(row.p50_ms.value)]
        order = [row.key for row in sorted(known, key=lambda row: row.p50_ms.value)]
        groups: list[list[str]] = []
        for key in order:
            if groups and not differs(ratio_of(result, key, groups[-1][0], "p50")):
                groups[-1].append(key)
            else:
                groups.append([key])
        if groups and result.plan.rounds >= ESTABLISHED:
            each = ", then ".join(listed([result.names[key] for key in group]) for group in groups)
            told.append(f"{result.name} {each}")
    if not told:
        return f"Fewer than {ESTABLISHED} rounds establish no ranking."
    return f"From the shortest median response time to the longest, with {'; with '.join(told)}."
