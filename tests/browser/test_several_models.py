"""The page of several models and batch sizes in a real browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.report import write_report
from loadtest.report.figures import model_weight
from loadtest.report.reading import Document, Results
from tests.browser.conftest import assert_fits
from tests.report.samples import several

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def results(document: Document) -> Results:
    """Two models, one of them with two batch sizes."""
    return several(document)


@pytest.fixture(scope="module")
def page_file(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their page."""
    page, _ = write_report(results, tmp_path_factory.mktemp("several"))
    return page


def test_answers_come_first_and_each_comparison_has_its_section(open_page: Open, page_file: Path) -> None:
    """The answer by comparison, what holds them side by side, each of them, and what is the same for all of them."""
    page = open_page(page_file)
    assert page.said == []
    assert page.asked == [page_file.as_uri()]
    titles = [title.partition(" ")[2] for title in page.locator("h2").all_inner_texts()]
    side_by_side = "From model to model and from batch size to batch size"
    each = ["light", "light@8", "heavy"]
    assert titles == ["The answer", side_by_side, *each, "Under fire", "Ease of setup", "Method and environment"]
    answers = page.locator("section").first
    assert answers.locator("h3").all_inner_texts() == [*each, "Ease of setup"]
    assert "huge was not measured: no server could be measured" in answers.inner_text()
    links = page.locator("nav a, section a[href^='#']").evaluate_all(
        "all => all.map(one => document.querySelectorAll('#' + one.getAttribute('href').slice(1)).length)"
    )
    assert set(links) == {1}, "each link leads to one place"
    charts = page.locator(".chart")
    assert page.locator(".chart svg").count() == charts.count()
    assert len(set(charts.evaluate_all("all => all.map(one => one.id)"))) == charts.count() > 20


def test_the_picture_over_the_models_holds_their_numbers(open_page: Open, page_file: Path, results: Results) -> None:
    """A point for each model and server: the time of its forward pass, and the share of it that is reached."""
    page = open_page(page_file)
    drawn = page.evaluate("views['model-weight-share'].data('model_weight_share')")
    expected = {
        (comparison.names[one.key], one.forward_ms): 100 * one.share.value
        for comparison in model_weight.models(results)
        for one in model_weight.served(comparison)
    }
    assert {(row["server"], row["x"]): row["value"] for row in drawn} == expected
    assert len(expected) == 2 * len(results.documents[0].comparison.servers)


def test_one_price_holds_for_the_whole_page(open_page: Open, page_file: Path) -> None:
    """A price that is set in one section is that of all of them."""
    page = open_page(page_file)
    page.fill("#heavy-price", "3600")
    assert page.locator("input.price").evaluate_all("all => all.map(one => one.value)") == ["3600"] * 3
    for cell in page.locator("[data-core-s]").all():
        shown, core_s = float(cell.inner_text().replace(",", "")), float(cell.get_attribute("data-core-s"))
        assert shown == pytest.approx(core_s, rel=5.1e-3)


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_it_never_scrolls_sideways(open_page: Open, page_file: Path, width: int) -> None:
    """The page is as wide as the window, with every detail open too."""
    assert_fits(open_page(page_file, width=width), width)
