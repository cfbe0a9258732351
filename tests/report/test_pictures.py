"""Encoded pictures beside tensors: two comparisons of one model, of which nothing stands in one table."""

import copy
from dataclasses import replace

import pytest

from loadtest.cli.compare import _plans
from loadtest.errors import UsageError
from loadtest.experiments.contender import contenders
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult, comparison_name
from loadtest.judge.server_result import contender_key
from loadtest.judge.summary import ratios, summarise
from loadtest.report.answer import why_apart
from loadtest.report.figures import draw, wires
from loadtest.report.markdown import render
from loadtest.report.page import render_page
from loadtest.report.reading import Document, Results
from loadtest.report.thresholds import read_thresholds
from loadtest.servers.server_toml import load_servers, select_servers


@pytest.fixture
def both(comparison: ComparisonResult) -> Results:
    """The sample, and it again as if its servers had been asked with pictures."""
    shown = copy.deepcopy(comparison)
    shown.plan = replace(shown.plan, pictures=True)
    for one in shown.servers:
        one.server, one.wire = one.key, "png"
        one.key = contender_key(one.server, one.wire)
    jpeg = copy.deepcopy(shown.servers[0])
    jpeg.key, jpeg.wire = contender_key(jpeg.server, "jpeg"), "jpeg"
    shown.servers.append(jpeg)
    shown.summary, shown.ratios = summarise(shown.servers, 1), ratios(shown.servers)
    return Results([Document(comparison), Document(shown)])


def test_each_has_its_own_name_and_sections(both: Results) -> None:
    """And the reason is told with the pictures, on the page and in Markdown, twice."""
    tensors, pictures = both.comparisons
    assert pictures == f"{tensors}-pictures"
    drawn = draw(both)
    assert drawn.across == []
    why = why_apart(both.comparisons[pictures])
    assert "JPEG alters it. No ratio is formed with tensors" in why
    assert why_apart(both.comparisons[tensors]) == ""
    page, text = render_page(both, drawn), render(both)
    assert page.count(why) == text.count(why) == 2
    assert f'<h2 id="{pictures}-section">' in page
    assert f"## {pictures}" in text


def test_no_table_holds_both(both: Results) -> None:
    """Of every figure each table names the servers of one comparison only, and so does each ratio."""
    tensors, pictures = both.comparisons.values()
    drawn = draw(both)
    for mine, other in ((tensors, pictures), (pictures, tensors)):
        figures = drawn.of[mine.name].values()
        told = {str(cell) for one in figures for table in one.tables for row in table.rows for cell in row}
        assert set(mine.names.values()) & told
        assert not set(other.names.values()) & told
        compared = {key for ratio in mine.ratios for key in (ratio.one, ratio.two)}
        assert compared == {one.key for one in mine.servers}
    assert "pictures of the same inputs, which the server decodes" in wires.figure(pictures).note


def test_a_threshold_finds_the_comparison_that_holds_its_server(both: Results) -> None:
    """Where both might, it has to name one."""
    compared = {name: list(one.names) for name, one in both.comparisons.items()}
    (found,) = read_thresholds(["flask_server+png.p99<1s"], compared, searched=False)
    assert found.comparison == list(compared)[1]
    with pytest.raises(UsageError, match="is not in this comparison"):
        read_thresholds([f"{next(iter(compared))}/flask_server+png.p99<1s"], compared, searched=False)


def test_a_command_plans_them_apart() -> None:
    """Tensors with every batch size, then pictures; each of the two is audited once."""
    wanted = select_servers("flask_server,tf_serving", load_servers())
    entered = contenders(wanted, ["rest", "png", "rest-png"])
    assert [(one.key, one.pictures) for one in entered] == [
        ("flask_server", False),
        ("flask_server+png", True),
        ("tf_serving", False),
        ("tf_serving+rest-png", True),
    ]
    plans = _plans(ComparisonPlan(), [1, 8], entered)
    names = [comparison_name("digits", one.batch, pictures=one.pictures) for one in plans]
    assert names == ["digits", "digits@8", "digits-pictures", "digits-pictures@8"]
    assert [one.audit for one in plans] == [True, False, True, False]
