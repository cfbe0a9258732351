"""Where the CPU time goes, as the page and the Markdown report tell it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.judge.breakdown import Breakdown, not_told
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import COUNTED_OTHERWISE, Finding
from loadtest.judge.result_file import ResultFile
from loadtest.machine.placement import Placement
from loadtest.report import write_report
from loadtest.report.figures import draw, layers
from loadtest.report.markdown import render
from loadtest.report.reading import Document, Results, read_results, write_results
from loadtest.servers.forward_pass import ForwardPassTime

LAYERS = {"HTTP server": 200.0, "framework": 100.0, "parsing": 50.0, "forward pass": 140.0, "encoding": 10.0}


@pytest.fixture
def told(comparison: ComparisonResult) -> ComparisonResult:
    """The sample, whose first server tells its layers, the second cannot, and the third miscounts."""
    one, two, three = comparison.servers[:3]
    one.breakdown = Breakdown(LAYERS, ["HTTP server"], 1_000, 500.0)
    two.breakdown = not_told("it has no counters")
    three.breakdown = Breakdown(cpu_us=700.0, faults=[Finding(COUNTED_OTHERWISE, {"counted": 9, "answered": 10})])
    comparison.placement = Placement((0,), (1,))
    comparison.forward_pass = [ForwardPassTime(runtime, 1, 100, 0.1, 0.2, 0.11) for runtime in ("torch", "tensorflow")]
    return comparison


def test_the_table_has_every_layer_and_the_cost_of_counting(told: ComparisonResult) -> None:
    """Beside the bare forward pass; without counters the CPU time at the ceiling, of a doubtful run nothing."""
    (table,) = layers.figure(told).tables
    titles = [column.title for column in table.columns]
    assert titles[1:7] == [*(f"{layer}, µs" for layer in LAYERS), "together, µs"]
    one, two, three = table.rows
    measured = {row.key: row.cpu_s_per_1000_at_ceiling.value * 1000 for row in told.summary}
    keys = [server.key for server in told.servers]
    assert one[1:] == [*LAYERS.values(), 500.0, pytest.approx(110.0), pytest.approx(500.0 / measured[keys[0]])]
    assert two[1:7] == [None] * 5 + [measured[keys[1]]]
    assert isinstance(two[8], float)
    assert math.isnan(two[8])
    assert three[1:6] == [None] * 5
    assert all(isinstance(cell, float) and math.isnan(cell) for cell in (three[6], three[8])), (
        "nothing of a doubtful run"
    )


def test_the_bars_are_the_layers(told: ComparisonResult) -> None:
    """One after the other; a server without counters has the bare forward pass and the rest, a doubtful one no bar."""
    figure = layers.figure(told)
    rows = figure.panels[0].spec["datasets"]["layers"]
    names = list(told.names.values())
    mine = [row for row in rows if row["name"] == names[0]]
    assert {row["layer"]: row["us"] for row in mine} == LAYERS
    assert [row["from"] for row in mine] == [0, 200, 300, 350, 490]
    assert mine[-1]["to"] == 500
    assert {row["layer"] for row in rows if row["name"] == names[1]} == {"forward pass", "not told apart"}
    assert names[2] not in {row["name"] for row in rows}
    assert [sign.label for sign in figure.legend] == [*LAYERS, "not told apart"]
    assert len({sign.colour for sign in figure.legend}) == 6
    assert f"{names[1]} is not divided: it has no counters." in figure.finding
    assert f"{names[2]} is not divided: the server counted 9 requests, and the client has 10 answers" in figure.finding
    assert "Remainders, what a process uses beside what it counts: HTTP server." in figure.note


def test_several_instances_in_a_request_are_one_request(told: ComparisonResult) -> None:
    """CPU time is told for a request; the summary has it for predictions."""
    told.plan = replace(told.plan, batch=8)
    one = layers.told(told)[0]
    seconds = next(row for row in told.summary if row.key == told.servers[0].key).cpu_s_per_1000_at_ceiling.value
    assert one.overhead == pytest.approx(500.0 / (seconds * 1000 * 8))


def test_it_stands_in_result_page_and_markdown(told: ComparisonResult, tmp_path: Path) -> None:
    """It is the same after it was written and read; a document without it has a line in the figure's place."""
    file = ResultFile([told], [told.name])
    write_results(file, tmp_path)
    results = read_results(tmp_path)
    assert results.only.comparison.servers[0].breakdown == told.servers[0].breakdown
    page, _ = write_report(results, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert '<figure id="layers">' in text
    assert "layer by layer, was not measured" not in text
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    name = next(iter(told.names.values()))
    assert f"| {name} | 200 | 100 | 50 | 140 | 10 | 500 | 110 |" in markdown

    document = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    for server in document["comparisons"][0]["servers"]:
        server.pop("breakdown", None)
    document["comparisons"][0]["plan"].pop("layers", None)
    (tmp_path / "result.json").write_text(json.dumps(document), encoding="utf-8")
    older = read_results(tmp_path)
    assert older.only.comparison.servers[0].breakdown is None
    page, _ = write_report(older, tmp_path)
    assert "layer by layer, was not measured" in page.read_text(encoding="utf-8")
    assert '<figure id="layers">' not in page.read_text(encoding="utf-8")


def test_an_older_result_has_no_such_section(document: Document) -> None:
    """Neither picture nor table."""
    results = Results([document])
    drawn = draw(results)
    assert "layers" not in drawn.of[document.name]
    assert "layer by layer" not in render(results)
