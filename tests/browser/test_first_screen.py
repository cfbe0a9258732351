"""The first screen in a real browser: sentences, one picture, and what becomes of a table on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.report import write_report
from loadtest.report.headline import headline
from loadtest.report.reading import Document, Results

Open = Callable[..., Any]


def test_the_first_section_is_sentences_and_one_picture(open_page: Open, report: Path, document: Document) -> None:
    """The sentences stand above everything else, then the picture with both measures; the table comes later."""
    page = open_page(report)
    first = page.locator("section").first
    assert first.locator(".headline li").all_inner_texts() == headline(document)
    assert first.locator("figure").count() == 1
    titles = first.locator("h4").all_inner_texts()
    assert [title.split()[0] for title in titles] == ["p99", "from", "capacity,", "lines"]
    place = "one => one.getBoundingClientRect().top"
    assert page.locator(".headline").evaluate(place) < 400
    assert page.locator("#overview").evaluate(place) < page.locator("table").last.evaluate(place)
    assert first.locator("table:visible").count() == 0


def test_the_picture_holds_the_values_and_their_intervals(open_page: Open, report: Path, document: Document) -> None:
    """A bar for each server with its interval, as the summary has it."""
    page = open_page(report)
    names = document.comparison.names
    drawn = {
        row["server"]: (row["value"], row["low"], row["high"])
        for row in page.evaluate("views['overview-tail'].data('tail')")
    }
    assert drawn == {
        names[row.key]: (row.p99_ms.value, row.p99_ms.low, row.p99_ms.high) for row in document.comparison.summary
    }


def test_without_setup_the_picture_is_latency_alone(open_page: Open, document: Document, tmp_path: Path) -> None:
    """Nothing is claimed of a measure that was not taken, and the page says how to take it."""
    page = open_page(write_report(Results([Document(document.comparison)]), tmp_path)[0])
    first = page.locator("section").first
    assert first.locator("h4").count() == 2
    assert "loadtest setup --out DIR" in first.inner_text()


@pytest.mark.parametrize("table", ["section:nth-of-type(2) table", "table.capabilities"])
def test_on_a_phone_a_row_is_a_card(open_page: Open, report: Path, document: Document, table: str) -> None:
    """Each cell stands on a line of its own behind its server; a wide screen has the names in the header."""
    names = list(document.comparison.names.values())
    narrow = open_page(report, width=390).locator(table).first
    row = narrow.locator("tbody tr").first
    tops = row.locator("td, th").evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert tops == sorted(set(tops)), "one below the other"
    labels = row.locator("td").evaluate_all("all => all.map(one => one.dataset.label).filter(Boolean)")
    assert set(labels) <= set(names)
    assert len(labels) >= 3
    wide = open_page(report, width=1440).locator(table).first
    tops = (
        wide.locator("tbody tr")
        .first.locator("td, th")
        .evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    )
    assert len(set(tops)) == 1
