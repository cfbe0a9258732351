"""The figures hold the numbers of the document, those of valid runs only."""

import copy
import json
import math
from typing import Any

import pytest

from loadtest.report.charting import LogAxis
from loadtest.report.figure import Column
from loadtest.report.figures import all_figures, cost, load_curve, overhead, percentiles, timeline
from loadtest.report.reading import Document, names, union, valid_rounds
from loadtest.report.reading import histogram as response_times
from loadtest.report.theme import colours


def runs(document: Document) -> list[dict[str, Any]]:
    """Every run of a document."""
    rounds = [one for server in document["servers"] for one in server["rounds"]]
    return [run for one in rounds for run in (one["open_loop"], one["closed_loop"], *one["curve"])]


def invalidate(run: dict[str, Any]) -> None:
    """Let a run judge itself invalid."""
    run["verdict"] = {"valid": False, "reasons": ["the client sent late"], "findings": []}


def drawn(document: Document) -> str:
    """All charts and tables, as text that can be compared."""
    figures = all_figures(document)
    tables = [[table.columns, table.rows] for figure in figures for table in [*figure.tables, cost.money(document)]]
    return json.dumps([panel.spec for figure in figures for panel in figure.panels]) + repr(tables)


def test_invalid_runs_change_no_figure(document: Document) -> None:
    """Whatever an invalid run recorded, every chart and every table stays the same."""
    for run in runs(document)[::4]:
        invalidate(run)
    spoiled = copy.deepcopy(document)
    for run in runs(spoiled):
        if not run["verdict"]["valid"]:
            run["response_time_ms"] = dict.fromkeys(run["response_time_ms"], 1000000.0)
            run["service_time_ms"] = dict.fromkeys(run["service_time_ms"], 1000000.0)
            run["throughput_rps"] = 1e6
            run["windows"] = [window | {"max_ms": 1e6, "waiting": 1e6} for window in run["windows"]]
            if "response_time_distribution" in run:
                run["response_time_distribution"] = {"highest_ns": [10**12], "counts": [10_000]}
    assert drawn(spoiled) == drawn(document)


def test_a_document_without_a_valid_run_draws_nothing_measured(document: Document) -> None:
    """With every run invalid there is neither a point nor a percentile nor a window."""
    for run in runs(document):
        invalidate(run)
    assert load_curve.points(document) == []
    assert overhead.splits(document) == []
    assert not any(percentiles.curve(union([])) for _ in document["servers"])
    assert not any(timeline.windows(server) for server in document["servers"])


def test_points_pool_the_rounds_of_a_rate(document: Document) -> None:
    """Each point counts the valid runs at its rate; one of a single run is that run's own percentile."""
    singles = 0
    for point in load_curve.points(document):
        (server,) = [one for one in document["servers"] if one["key"] == point.key]
        tried = [run for one in server["rounds"] for run in (one["open_loop"], *one["curve"])]
        valid = [run for run in tried if run["run"]["rate"] == point.rate and run["verdict"]["valid"]]
        assert point.runs == len(valid)
        if len(valid) == 1 and point.response.known:
            singles += 1
            assert point.response.value == pytest.approx(valid[0]["response_time_ms"][f"p{point.percent:g}"], abs=1e-5)
    kept = document["servers"][0]["rounds"][:1]
    document["servers"] = [document["servers"][0] | {"rounds": kept}]
    for point in load_curve.points(document):
        assert math.isnan(point.response.low), "one round has no interval"
    assert singles or load_curve.points(document)


def test_percentiles_without_enough_samples_are_left_out(document: Document) -> None:
    """No curve goes further than the percentile that has ten requests beyond it."""
    for server in document["servers"]:
        whole = union([response_times(one["open_loop"]) for one in valid_rounds(server)])
        for percent, ms in percentiles.curve(whole):
            assert (1 - percent / 100) * whole.count >= 10 - 1e-6
            assert ms == whole.percentile(percent) / 1e6


def test_parts_add_up_to_the_response_time(document: Document) -> None:
    """Forward pass, server overhead and wait in the client are the whole mean response time."""
    found = overhead.splits(document)
    assert found
    for split in found:
        assert sum(split.parts_ms()) == pytest.approx(split.response.value)
        assert all(part >= -1e-9 for part in split.parts_ms())


def test_parts_without_a_forward_pass_claim_none(document: Document) -> None:
    """Where the forward pass was not measured, no share of it is told."""
    document["floor"] = []
    assert all(math.isnan(split.tax) for split in overhead.splits(document))
    assert "was not measured" in overhead.figure(document).finding


def test_twins_are_one_server_with_two_frameworks(document: Document) -> None:
    """The Flask pair is found by its name and its frameworks, and nothing else is taken for a pair."""
    assert overhead.twins(document) == {"torch": "flask_server", "tensorflow": "flask_server:tensorflow"}
    document["servers"] = [one for one in document["servers"] if one["key"] != "flask_server:tensorflow"]
    assert overhead.twins(document) == {}


def test_windows_are_those_of_the_document(document: Document) -> None:
    """The time line's table has every window of every valid round, number for number."""
    (table,) = timeline.figure(document).tables
    expected = [
        [names(document)[server["key"]], one["number"], window["end_s"], window["ok"], window["max_ms"]]
        for server in document["servers"]
        for one in valid_rounds(server)
        for window in one["open_loop"]["windows"]
    ]
    assert [[row[0], row[1], row[2], row[3], row[7]] for row in table.rows] == [
        [*cells[:4], math.nan if cells[4] is None else cells[4]] for cells in expected
    ]


def test_cost_follows_from_cpu_and_cores(document: Document) -> None:
    """CPU time is charged as used; cores are charged for the time that a million predictions take."""
    document["placement"] = {"server": [0, 1, 2], "client": [3]}
    document["plan"]["batch"] = 2
    for server in document["servers"]:
        server["capacity"] = None
    for one, row in zip(cost.costs(document), document["summary"], strict=True):
        if one.cpu_s_per_1000.known:
            assert one.used_core_s == pytest.approx(row["cpu_s_per_1000"]["value"] * 1000)
        if row["ceiling_rps"]["value"]:
            assert one.held_core_s == pytest.approx(3 * 1e6 / (2 * row["ceiling_rps"]["value"]))
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

    walk([panel.spec for figure in all_figures(document) for panel in figure.panels])
    labels = list(names(document).values())
    assert seen == {label: {colour} for label, colour in zip(labels, colours(len(labels)), strict=True)}


def test_a_stand_in_keeps_its_label(document: Document) -> None:
    """What stands in for TensorFlow Serving is never shown under that name alone."""
    text = drawn(document) + repr([figure.finding for figure in all_figures(document)])
    assert "TF Serving API (embedded)" in text
    assert "TensorFlow Serving" not in text.replace("TF Serving API (embedded)", "")


def test_servers_with_one_label_are_told_apart(document: Document) -> None:
    """Two servers of the same label get their keys added."""
    for server in document["servers"][:2]:
        server["label"] = "same"
    keys = [server["key"] for server in document["servers"][:2]]
    assert list(names(document).values())[:2] == [f"same ({key})" for key in keys]


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, "—"), (math.nan, "—"), (math.inf, "—"), (1234.5678, "1,234.57"), (0, "0.00"), ("yes", "yes")],
)
def test_cells_that_are_not_known_are_dashes(cell: Any, text: str) -> None:
    """Null, NaN and infinity are printed as a dash; zero is a number."""
    assert Column("ms", 2).text(cell) == text


@pytest.mark.parametrize("values", [[1.0], [0.03, 40_000.0], [], [0.0, math.nan], [5.0, 5.0001]])
def test_logarithmic_axes_hold_their_values(values: list[float]) -> None:
    """Every value above zero lies within the axis, and so does every tick."""
    axis = LogAxis.around(values)
    assert all(axis.low <= value <= axis.high for value in [*axis.ticks, *(v for v in values if v > 0)])
    assert 0 < axis.low < axis.high
    assert axis.within(0.0) == axis.low
    assert axis.within(math.inf) == axis.high
