"""The figures hold the numbers of the document, those of valid runs only."""

import copy
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import TOLD, Finding
from loadtest.judge.ranked import ranked_percentiles, together
from loadtest.judge.run_result import Distribution, RunResult, Times
from loadtest.judge.samples import furthest
from loadtest.judge.verdict import Verdict
from loadtest.machine.placement import Placement
from loadtest.report.charting import LogAxis
from loadtest.report.figure import Column
from loadtest.report.figures import cost, draw, load_curve, overhead, percentiles, timeline
from loadtest.report.reading import Document, Results
from loadtest.report.theme import colours

NO = Verdict(False, [Finding(TOLD, {"text": "the client sent late"})])


def change_runs(comparison: ComparisonResult, change: Callable[[RunResult], RunResult]) -> None:
    """Replace every run of a comparison."""
    for server in comparison.servers:
        server.rounds = [
            replace(
                one,
                open_loop=change(one.open_loop),
                closed_loop=change(one.closed_loop),
                curve=[change(run) for run in one.curve],
            )
            for one in server.rounds
        ]


def invalidate(run: RunResult) -> RunResult:
    """Let a run judge itself invalid."""
    return replace(run, verdict=NO)


def spoil(run: RunResult) -> RunResult:
    """Other numbers in an invalid run; a valid one stays as it is."""
    if run.verdict.valid:
        return run
    slow = Times(**{field.name: 1e6 for field in fields(Times)})
    return replace(
        run,
        response_time_ms=slow,
        service_time_ms=slow,
        throughput_rps=1e6,
        windows=[replace(window, max_ms=1e6, waiting=10**6) for window in run.windows],
        response_time_distribution=run.response_time_distribution and Distribution([10**12], [10_000]),
    )


def drawn(document: Document) -> str:
    """All charts and tables, as text that can be compared."""
    figures = draw(Results([document])).every
    tables = [
        [table.columns, table.rows] for figure in figures for table in [*figure.tables, cost.money(document.comparison)]
    ]
    return json.dumps([panel.spec for figure in figures for panel in figure.panels]) + repr(tables)


def test_invalid_runs_change_no_figure(document: Document) -> None:
    """Whatever an invalid run recorded, every chart and every table stays the same."""
    count = itertools.count()
    change_runs(document.comparison, lambda run: run if next(count) % 4 else invalidate(run))
    spoiled = copy.deepcopy(document)
    change_runs(spoiled.comparison, spoil)
    assert repr(spoiled) != repr(document)
    assert drawn(spoiled) == drawn(document)


def test_a_document_without_a_valid_run_draws_nothing_measured(comparison: ComparisonResult) -> None:
    """With every run invalid there is neither a point nor a percentile nor a window."""
    change_runs(comparison, invalidate)
    assert load_curve.points(comparison) == []
    assert overhead.splits(comparison) == []
    assert not any(percentiles.curve(together([])) for _ in comparison.servers)
    assert not any(timeline.windows(server) for server in comparison.servers)


def test_points_pool_the_rounds_of_a_rate(comparison: ComparisonResult) -> None:
    """Each point counts the valid runs at its rate; one of a single run is that run's own percentile."""
    singles = 0
    for point in load_curve.points(comparison):
        (server,) = [one for one in comparison.servers if one.key == point.key]
        tried = [run for one in server.rounds for run in (one.open_loop, *one.curve)]
        valid = [run for run in tried if run.run.rate == point.rate and run.verdict.valid]
        assert point.runs == len(valid)
        if len(valid) == 1 and point.response.known:
            singles += 1
            assert point.response.value == pytest.approx(
                getattr(valid[0].response_time_ms, f"p{point.percent:g}"), abs=1e-5
            )
    comparison.servers = [replace(comparison.servers[0], rounds=comparison.servers[0].rounds[:1])]
    for point in load_curve.points(comparison):
        assert math.isnan(point.response.low), "one round has no interval"
    assert singles or load_curve.points(comparison)


def test_two_runs_of_a_round_at_one_rate_are_one_round(comparison: ComparisonResult) -> None:
    """As where a rate of the curve is the common one: three rounds stay three, and the interval is theirs."""
    (server,) = comparison.servers = [comparison.servers[0]]
    server.rounds = [replace(one, curve=[]) for one in server.rounds]
    once = {(point.rate, point.percent): point.response for point in load_curve.points(comparison)}
    server.rounds = [replace(one, curve=[one.open_loop] * 3) for one in server.rounds]
    again = {(point.rate, point.percent): point.response for point in load_curve.points(comparison)}
    assert again[300.0, 50.0] == once[300.0, 50.0]
    assert not math.isnan(once[300.0, 50.0].low)


def test_percentiles_without_enough_samples_are_left_out(comparison: ComparisonResult) -> None:
    """No curve goes further than the percentile that its requests are enough for."""
    for server in comparison.servers:
        whole = together([one.open_loop.response_times for one in server.valid_rounds])
        for percent, ms in percentiles.curve(whole):
            assert percent <= furthest(whole.requests)
            assert ms == ranked_percentiles(whole.answers, whole.failed, [percent])[0] / 1e6


def test_parts_add_up_to_the_response_time(comparison: ComparisonResult) -> None:
    """Forward pass, server overhead and wait in the client are the whole mean response time."""
    found = overhead.splits(comparison)
    assert found
    for split in found:
        assert sum(split.parts_ms()) == pytest.approx(split.response.value)
        assert all(part >= -1e-9 for part in split.parts_ms())


def test_parts_without_a_forward_pass_claim_none(comparison: ComparisonResult) -> None:
    """Where the forward pass was not measured, no share of it is told."""
    comparison.forward_pass = []
    assert all(math.isnan(split.share) for split in overhead.splits(comparison))
    assert "was not measured" in overhead.figure(comparison).finding


def test_twins_are_one_server_with_two_frameworks(comparison: ComparisonResult) -> None:
    """The Flask pair is found by its name and its frameworks, and nothing else is taken for a pair."""
    assert overhead.twins(comparison) == {"torch": "flask_server", "tensorflow": "flask_server:tensorflow"}
    comparison.servers = [one for one in comparison.servers if one.key != "flask_server:tensorflow"]
    assert overhead.twins(comparison) == {}


def test_windows_are_those_of_the_document(comparison: ComparisonResult) -> None:
    """The time line's table has every window of every valid round, number for number."""
    (table,) = timeline.figure(comparison).tables
    expected = [
        [comparison.names[server.key], one.number, window.end_s, window.ok, window.max_ms]
        for server in comparison.servers
        for one in server.valid_rounds
        for window in one.open_loop.windows
    ]
    # As text, in which what is not known (NaN) equals itself.
    assert repr([[row[0], row[1], row[2], row[3], row[7]] for row in table.rows]) == repr(expected)


def test_cost_follows_from_cpu_and_cores(comparison: ComparisonResult) -> None:
    """CPU time is charged as used; cores are charged for the time that a million predictions take."""
    comparison.placement = Placement((0, 1, 2), (3,))
    comparison.plan = replace(comparison.plan, batch=2)
    for server in comparison.servers:
        server.capacity = None
    for one, row in zip(cost.costs(comparison), comparison.summary, strict=True):
        if one.at_ceiling.known:
            assert one.used_core_s == pytest.approx(row.cpu_s_per_1000_at_ceiling.value * 1000)
        if row.ceiling_rps.known and row.ceiling_rps.value:
            assert one.held_core_s == pytest.approx(3 * 1e6 / (2 * row.ceiling_rps.value))
            assert one.full_is == "ceiling"


def test_every_server_has_one_colour(document: Document) -> None:
    """Wherever a server is drawn by colour, it is the same one."""
    seen: dict[str, set[str]] = {}

    def walk(spec: Any) -> None:
        if isinstance(spec, dict):
            scale = spec.get("scale")
            if spec.get("field") == "server" and isinstance(scale, dict) and "var(--s0)" in scale.get("range", ()):
                for label, colour in zip(scale["domain"], scale["range"], strict=True):
                    seen.setdefault(label, set()).add(colour)
            for value in spec.values():
                walk(value)
        elif isinstance(spec, list):
            for value in spec:
                walk(value)

    walk([panel.spec for figure in draw(Results([document])).every for panel in figure.panels])
    labels = list(document.comparison.names.values())
    assert seen == {label: {colour} for label, colour in zip(labels, colours(len(labels)), strict=True)}


def test_a_stand_in_keeps_its_label(document: Document) -> None:
    """What stands in for TensorFlow Serving is never shown under that name alone."""
    text = drawn(document) + repr([figure.finding for figure in draw(Results([document])).every])
    assert "TF Serving API (embedded)" in text
    assert "TensorFlow Serving" not in text.replace("TF Serving API (embedded)", "")


def test_servers_with_one_label_are_told_apart(comparison: ComparisonResult) -> None:
    """Two servers of the same label get their keys added."""
    for server in comparison.servers[:2]:
        server.label = "same"
    keys = [server.key for server in comparison.servers[:2]]
    assert list(comparison.names.values())[:2] == [f"same ({key})" for key in keys]


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, "—"), (math.nan, "—"), (math.inf, "failed"), (1234.5678, "1,234.57"), (0, "0.00"), ("yes", "yes")],
)
def test_cells_that_are_not_known_are_dashes(cell: Any, text: str) -> None:
    """Null and NaN are printed as a dash, an infinite percentile as failed; zero is a number."""
    assert Column("ms", 2).text(cell) == text


@pytest.mark.parametrize("values", [[1.0], [0.03, 40_000.0], [], [0.0, math.nan], [5.0, 5.0001], [430.0]])
def test_logarithmic_axes_hold_their_values(values: list[float]) -> None:
    """Every value above zero lies within the axis, and so does every tick; there is always a tick."""
    axis = LogAxis.around(values)
    assert axis.ticks
    assert all(axis.low <= value <= axis.high for value in [*axis.ticks, *(v for v in values if v > 0)])
    assert 0 < axis.low < axis.high
    assert axis.within(0.0) == axis.low
    assert axis.within(math.inf) == axis.high
