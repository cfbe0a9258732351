"""A result of several models and batch sizes: its figures, text, thresholds and differences."""

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.report import write_report
from loadtest.report.difference import differences
from loadtest.report.difference_page import write_changes
from loadtest.report.figures import batch_size, draw, model_weight
from loadtest.report.reading import Document, Results
from loadtest.report.thresholds import check_thresholds, read_thresholds
from tests.report.samples import several


@pytest.fixture
def results(document: Document) -> Results:
    """A light and a heavy model, the light one with two batch sizes; a further one was not measured."""
    return several(document)


def rows_of(results: Results, key: str) -> Iterator[dict[str, Any]]:
    """The numbers of a figure's first table, by column."""
    (figure,) = [one for one in draw(results).across if one.key == key]
    for row in figure.tables[0].rows:
        yield dict(zip([column.title for column in figure.tables[0].columns], row, strict=True))


def test_the_share_of_the_forward_pass_is_the_ceiling_times_its_time(results: Results) -> None:
    """Each model stands once, with its smallest batch; the fastest server is once itself."""
    rows = list(rows_of(results, "model-weight"))
    models = [row["model"] for row in rows]
    assert list(dict.fromkeys(models)) == ["light", "heavy"]
    for name, forward_s in (("light", 0.0001), ("heavy", 0.0005)):
        comparison = results.comparisons[name]
        here = {row["server"]: row for row in rows if row["model"] == name}
        for one in comparison.summary:
            share = here[comparison.names[one.key]]["share of the bare forward pass reached at the ceiling, %"]
            assert share == pytest.approx(100 * one.ceiling_rps.value * forward_s)
        behind = [row["median response time, multiple of the shortest"] for row in here.values()]
        assert min(behind) == 1.0
        medians = {one.key: one.p50_ms.value for one in comparison.summary if one.p50_ms.known}
        first = min(medians, key=lambda key: medians[key])
        for ratio in comparison.ratios:
            if ratio.measure == "p50" and first in (ratio.one, ratio.two):
                other = ratio.two if ratio.one == first else ratio.one
                value = ratio.ratio.value if ratio.two == first else 1 / ratio.ratio.value
                multiple = here[comparison.names[other]]["median response time, multiple of the shortest"]
                assert multiple == pytest.approx(value, nan_ok=True)


def test_predictions_per_second_are_requests_times_their_instances(results: Results) -> None:
    """With each batch size; a model with one batch size has no such figure."""
    assert list(batch_size.by_model(results)) == ["light"]
    rows = list(rows_of(results, "batch-size-light"))
    for name in ("light", "light@8"):
        comparison = results.comparisons[name]
        here = {row["server"]: row for row in rows if row["instances in a request"] == comparison.plan.batch}
        for one in comparison.summary:
            predictions = here[comparison.names[one.key]]["predictions per second at the ceiling"]
            assert predictions == pytest.approx(one.ceiling_rps.value * comparison.plan.batch)


def test_a_ranking_is_told_only_of_three_rounds_and_more(results: Results) -> None:
    """With fewer it is said that there is none; servers between which no difference is known stand together."""
    told = model_weight.figure(results).finding
    assert "with light " in told
    assert "with heavy " in told
    few = Results([replace(one, comparison=copy.deepcopy(one.comparison)) for one in results.documents])
    for one in few.documents:
        one.comparison.plan = replace(one.comparison.plan, rounds=2)
    assert "Fewer than 3 rounds establish no ranking." in model_weight.figure(few).finding


def test_models_without_a_forward_pass_are_left_out(results: Results) -> None:
    """A load-test machine without the frameworks draws no weight, and the rest of the report stands."""
    for one in results.documents:
        one.comparison.forward_pass = []
    assert [figure.key for figure in draw(results).across] == ["batch-size-light"]


def test_text_has_a_part_for_each_comparison(results: Results, tmp_path: Path) -> None:
    """report.md names each, shows pictures that are there, and says what was not measured."""
    _, text = write_report(results, tmp_path)
    lines = text.read_text(encoding="utf-8").splitlines()
    titles = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    answers = [f"The answer: {name}" for name in ("light", "light@8", "heavy", "Ease of setup")]
    across = ["Serving tax and ranking over the weight of the model", "light: batch sizes"]
    assert titles[:9] == [*answers, *across, "light", "light@8", "heavy"]
    pictures = [found[1] for line in lines if (found := re.match(r"!\[.*\]\((.+)\)$", line))]
    assert len(pictures) == len(set(pictures)) > 12
    assert all((tmp_path / picture).is_file() for picture in pictures)
    assert "- huge was not measured: no server could be measured" in lines
    assert sum("take the fewest lines" in line or "takes the fewest lines" in line for line in lines) == 1


def test_a_threshold_names_its_comparison(results: Results) -> None:
    """Each judges the numbers of the one it names; of one that was not measured none passes, with the reason."""
    names = [*results.comparisons, *results.unmeasured]
    keys = list(results.documents[0].comparison.names)
    texts = [f"{name}/{keys[0]}.cpu<1000s" for name in names]
    outcomes = check_thresholds(read_thresholds(texts, dict.fromkeys(names, keys), searched=False), results)
    assert [outcome.passed for outcome in outcomes] == [True, True, True, False]
    assert "no server could be measured" in str(outcomes[-1])
    light, batched = (outcome.value.value for outcome in outcomes[:2])
    assert light == pytest.approx(8 * batched), "the CPU time of a prediction, of which a request has eight"
    with pytest.raises(
        UsageError, match=f"names none of the comparisons light, light@8, heavy, huge: write 'light/{keys[0]}"
    ):
        read_thresholds([f"{keys[0]}.cpu<1s"], dict.fromkeys(names, keys), searched=False)
    with pytest.raises(UsageError, match="no comparison is called lite; there are: light"):
        read_thresholds([f"lite/{keys[0]}.cpu<1s"], dict.fromkeys(names, keys), searched=False)


def test_results_are_compared_by_name(results: Results, tmp_path: Path) -> None:
    """Those that stand in both are; the others are named. Without a common name there is nothing to compare."""
    after = Results([replace(one, comparison=copy.deepcopy(one.comparison)) for one in results.documents[1:]])
    for server in after.comparisons["heavy"].servers:
        server.rounds = [
            replace(one, closed_loop=replace(one.closed_loop, throughput_rps=one.closed_loop.throughput_rps / 100))
            for one in server.rounds
        ]
    found = differences(results, after)
    assert [one.name for one in found.comparisons] == ["light@8", "heavy"]
    assert found.missing == ["light is only in the first file"]
    same, slower = (
        {change.verdict for change in one.changes if change.measure == "ceiling"} for one in found.comparisons
    )
    assert same <= {"tie", "unknown"}
    assert slower <= {"worse", "unknown"}
    assert "worse" in slower
    page, text, _ = write_changes(found, results, after, tmp_path)
    for path in (page, text):
        assert "Worse: " in path.read_text(encoding="utf-8")
    assert len({path.name for path in (tmp_path / "figures").iterdir()}) == 2 * len(
        after.documents[0].comparison.servers
    )
    with pytest.raises(UsageError, match="no comparison stands in both files: light in the first, light@8, heavy in"):
        differences(Results(results.documents[:1]), after)
