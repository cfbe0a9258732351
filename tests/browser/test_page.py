"""The page in a real browser: what it draws, what it computes, how it fits."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.judge.findings import FAILED, TOLD, Finding
from loadtest.judge.intervals import percentile_estimate
from loadtest.judge.ranked import together
from loadtest.judge.summary import summarise
from loadtest.judge.verdict import Verdict
from loadtest.report import write_report
from loadtest.report.difference import Differences, difference
from loadtest.report.difference_page import write_changes
from loadtest.report.figures import load_curve, percentiles
from loadtest.report.reading import Document, Results, read_results
from loadtest.report.setup_table import STAGES
from loadtest.report.theme import DARK, LIGHT
from tests.browser.conftest import assert_fits
from tests.report.samples import SAMPLE

Open = Callable[..., Any]
CLIPBOARD = ("clipboard-read", "clipboard-write")


def rgb(colour: str) -> str:
    """A hexadecimal colour as a browser reports it."""
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def data(page: Any, chart: str, name: str) -> list[dict[str, Any]]:
    """The rows behind a chart, as the browser holds them."""
    rows: list[dict[str, Any]] = page.evaluate(f"views['{chart}'].data('{name}')")
    return rows


def test_page_needs_nothing_but_itself(open_page: Open, report: Path) -> None:
    """It asks for no other address, says nothing on the console, and draws every chart."""
    page = open_page(report)
    assert page.said == []
    assert page.asked == [report.as_uri()]
    charts = page.locator(".chart")
    assert charts.count() > 8
    assert page.locator(".chart svg").count() == charts.count()


def test_sections_stand_in_order(open_page: Open, report: Path) -> None:
    """The nine sections follow each other from the answer to the method, each linked from the top."""
    page = open_page(report)
    titles = page.locator("h2").all_inner_texts()
    assert [title.split()[0] for title in titles] == [str(number) for number in range(1, 10)]
    links = page.locator("nav a").evaluate_all("all => all.map(one => one.getAttribute('href').slice(1))")
    assert links == page.locator("h2").evaluate_all("all => all.map(one => one.id)")


def test_load_chart_holds_the_numbers_of_the_result(open_page: Open, report: Path, document: Document) -> None:
    """Each point of the load chart is a rate of the result with the percentile over its valid rounds."""
    page = open_page(report)
    for percent in load_curve.percents(document.comparison):
        drawn = {
            (row["server"], row["rate"]): row["ms"] for row in data(page, f"load-p{percent:g}", f"load_p{percent:g}")
        }
        expected = {}
        for server in document.comparison.servers:
            rounds = [[run for run in (one.open_loop, *one.curve) if run.verdict.valid] for one in server.rounds]
            for rate in {run.run.rate for runs in rounds for run in runs}:
                at_rate = [[run.response_times for run in runs if run.run.rate == rate] for runs in rounds]
                found = percentile_estimate([together(times) for times in at_rate if times], percent)
                if found.known:
                    expected[document.comparison.names[server.key], rate] = pytest.approx(found.value)
        assert drawn == expected


def test_setup_section_holds_the_numbers_of_the_measurement(open_page: Open, report: Path, document: Document) -> None:
    """The marks of the warm starts are the medians; every capability has its row, with each server's answer."""
    page = open_page(report)
    assert document.setup is not None
    servers = list(document.setup.servers.values())
    warm = {server.label: server.timeline.warm for server in servers if server.timeline.warm}
    assert len(warm) == len(servers)
    drawn = {(row["server"], row["stage"]): row["seconds"] for row in data(page, "setup-warm", "stages")}
    assert drawn == {
        (label, title): getattr(starts.stages, stage).median
        for label, starts in warm.items()
        for stage, title in STAGES.items()
    }
    rows = page.locator("table.capabilities tbody tr").evaluate_all(
        "all => all.map(row => [...row.children].map(cell => cell.innerText.split(/\\s/)[0]))"
    )
    columns = page.locator("table.capabilities thead th").all_inner_texts()[1:]
    for server in servers:
        answers = [row[1 + columns.index(server.label)] for row in rows]
        assert answers == ["yes" if cell.supported else "no" for cell in server.capabilities]


def test_cells_of_a_stand_in_are_marked(open_page: Open, report: Path, document: Document) -> None:
    """Each cell that is a stand-in's own says so, no other does, and below stands what it stands in for."""
    page = open_page(report)
    columns = page.locator("table.capabilities thead th").all_inner_texts()[1:]
    rows = page.locator("table.capabilities tbody tr").evaluate_all(
        "all => all.map(row => [...row.children].map(cell => cell.innerText.includes('(stand-in)')))"
    )
    assert document.setup is not None
    for server in document.setup.servers.values():
        marked = [row[1 + columns.index(server.label)] for row in rows]
        assert marked == [cell.stand_in for cell in server.capabilities]
    assert any(True in row for row in rows)
    told = "TF Serving API (embedded) stands in for TensorFlow Serving"
    assert told in page.locator("section:has(table.capabilities)").inner_text()


def test_other_charts_hold_the_numbers_of_the_result(open_page: Open, report: Path, document: Document) -> None:
    """Bars show the table's values, the time line every window, the percentiles their curve, the capacities theirs."""
    page = open_page(report)
    labels = document.comparison.names
    bars = {row["server"]: row["value"] for row in data(page, "cost-cpu", "cpu")}
    assert bars == {labels[row.key]: row.cpu_s_per_1000_at_ceiling.value for row in document.comparison.summary}
    for index, server in enumerate(document.comparison.servers):
        windows = [one for found in server.valid_rounds for one in found.open_loop.windows]
        drawn = data(page, f"timeline-{index}", "windows")
        assert [row["max_ms"] for row in drawn] == [
            None if math.isnan(window.max_ms) else window.max_ms for window in windows
        ]
        assert [row["waiting"] for row in data(page, f"waiting-{index}", "waiting")] == [w.waiting for w in windows]
        whole = together([one.open_loop.response_times for one in server.valid_rounds])
        curve = [row for row in data(page, "percentiles-all", "percentiles") if row["server"] == labels[server.key]]
        assert [(row["percent"], row["ms"]) for row in curve] == percentiles.curve(whole)
    searched = [one.capacity for one in document.comparison.servers if one.capacity]
    found = data(page, f"load-p{searched[0].percent:g}", "capacities")
    assert {row["rate"] for row in found} == {one.estimate_rps.value for one in searched if one.estimate_rps.value}


def test_tables_hold_the_numbers_in_full(open_page: Open, report: Path, document: Document) -> None:
    """Behind each figure stand its numbers, unrounded for the one who copies them."""
    page = open_page(report)
    rows = page.locator("#cost table tbody tr")
    assert rows.count() == len(document.comparison.servers)
    for index, row in enumerate(document.comparison.summary):
        cell = rows.nth(index).locator("td").nth(1)
        value = row.cpu_s_per_1000_at_ceiling.value
        assert float(cell.get_attribute("data-value")) == value
        assert cell.text_content() == f"{value:,.3f}"


def test_hovering_a_point_tells_its_numbers(open_page: Open, report: Path) -> None:
    """The pointer over a point of the load chart brings up the server, the rate and the percentile."""
    page = open_page(report)
    row = data(page, "load-p50", "load_p50")[0]
    page.locator("#chart-load-p50").scroll_into_view_if_needed()
    place = page.evaluate(
        """([rate, ms]) => {
            const view = views["load-p50"], box = document.querySelector("#chart-load-p50 svg").getBoundingClientRect();
            const [left, top] = view.origin();
            return [box.x + left + view.scale("x")(rate), box.y + top + view.scale("y")(ms)];
        }""",
        [row["rate"], row["ms"]],
    )
    page.mouse.move(*place)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    text = tooltip.inner_text()
    assert row["text"] in text
    assert row["server"] in text
    page.mouse.move(1, 1)
    tooltip.wait_for(state="detached")


def test_price_recomputes_the_money(open_page: Open, report: Path) -> None:
    """Each amount is core-seconds times the price per core-hour; without a price there is no amount."""
    page = open_page(report)
    cells = page.locator("[data-core-s]")
    assert cells.count()
    for price in ("0.04", "3.6", "0"):
        page.fill("#price", price)
        for index in range(cells.count()):
            expected = float(cells.nth(index).get_attribute("data-core-s")) * float(price) / 3600
            assert float(cells.nth(index).inner_text().replace(",", "")) == pytest.approx(expected, rel=5.1e-3)
    for price in ("", "-1"):
        page.fill("#price", price)
        assert set(cells.all_inner_texts()) == {"—"}


def test_first_price_is_computed_without_scripts(open_page: Open, report: Path) -> None:
    """The amounts in the file are those that the page computes for its first price."""
    written = re.findall(r'data-core-s="[^"]+">([^<]+)<', report.read_text(encoding="utf-8"))
    assert open_page(report).locator("[data-core-s]").all_inner_texts() == written


def test_copied_table_is_tab_separated(open_page: Open, report: Path, document: Document) -> None:
    """The button puts the whole table on the clipboard, with plain numbers that a spreadsheet reads."""
    page = open_page(report, permissions=CLIPBOARD)
    page.locator("#cost summary").click()
    page.locator("#cost button.copy").click()
    page.get_by_text("Copied").wait_for()
    lines = [line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines()]
    assert lines[0][:2] == ["server", "CPU seconds per 1,000 at the ceiling"]
    for line, row in zip(lines[1:], document.comparison.summary, strict=True):
        assert float(line[1]) == row.cpu_s_per_1000_at_ceiling.value
        assert len(line) == len(lines[0])


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_page_never_scrolls_sideways(open_page: Open, report: Path, width: int) -> None:
    """The page is as wide as the window, with every detail open too; a wide table scrolls in a box of its own."""
    page = open_page(report, width=width)
    assert_fits(page, width)
    boxes = page.locator(".scroll").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert max(boxes) <= width
    sideways = page.locator(".scroll").evaluate_all("all => all.some(one => one.scrollWidth > one.clientWidth)")
    assert sideways == (width == 768), "on a phone a table is a list of cards, and nothing in it scrolls sideways"


@pytest.mark.parametrize(("scheme", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_colours_follow_the_reader(open_page: Open, report: Path, scheme: str, palette: dict[str, str]) -> None:
    """Ground, text and the servers' colours, inside of charts too, are those of the reader's scheme."""
    page = open_page(report, scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == rgb(palette["ground"])
    fills = set(
        page.locator(".chart svg path, .chart svg text").evaluate_all(
            "all => all.map(one => getComputedStyle(one).fill)"
        )
    )
    assert {rgb(palette["s0"]), rgb(palette["muted"]), rgb(palette["ink"])} <= fills


def test_print_is_light(open_page: Open, report: Path) -> None:
    """On paper the page is dark on white, whatever the reader's screen is."""
    page = open_page(report, scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == rgb(LIGHT["ground"])
    assert page.locator("nav").is_hidden()


def test_every_chart_has_a_text_alternative(open_page: Open, report: Path) -> None:
    """A reader who does not see the chart is told what it shows and what was found."""
    page = open_page(report)
    assert page.locator(".chart").count() == page.locator("div[role=img] .chart").count()
    for alternative in page.locator("div[role=img]").all():
        assert len(alternative.get_attribute("aria-label")) > 40


def test_labels_are_text_and_never_markup(open_page: Open, tmp_path: Path) -> None:
    """A server's label cannot end the script that holds the charts, nor start one."""
    document = read_results(SAMPLE).only
    label = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    document.comparison.servers[0].label = label
    page = open_page(write_report(Results([document]), tmp_path)[0])
    assert page.said == []
    assert "owned" not in page.title()
    assert label in page.locator(".legend").first.inner_text()


def test_page_of_a_failed_and_incomplete_comparison(open_page: Open, tmp_path: Path) -> None:
    """A server that failed keeps its place with its fault, and the page says that rounds are missing."""
    document = read_results(SAMPLE).only
    comparison = document.comparison
    comparison.complete = False
    failed = comparison.servers[0]
    failed.rounds, failed.capacity, failed.parity = [], None, None
    failed.faults = [Finding(FAILED, {"message": "it did not start"})]
    comparison.summary = summarise(comparison.servers, comparison.plan.batch)
    comparison.ratios = [one for one in comparison.ratios if failed.key not in (one.one, one.two)]
    page = open_page(write_report(Results([document]), tmp_path)[0])
    assert page.said == []
    answer = page.locator("section").first.inner_text()
    assert "Incomplete." in answer
    assert "it did not start" in answer
    assert "—" in page.locator("section").nth(1).locator("table").first.inner_text()


def test_page_without_a_valid_run(open_page: Open, tmp_path: Path) -> None:
    """With nothing valid the page says so in place of its figures, and still stands."""
    document = read_results(SAMPLE).only
    no = Verdict(False, [Finding(TOLD, {"text": "the client sent late"})])
    for server in document.comparison.servers:
        server.capacity = None
        server.rounds = [
            replace(
                one,
                open_loop=replace(one.open_loop, verdict=no),
                closed_loop=replace(one.closed_loop, verdict=no),
                curve=[replace(run, verdict=no) for run in one.curve],
            )
            for one in server.rounds
        ]
    page = open_page(write_report(Results([document]), tmp_path)[0])
    assert page.said == []
    text = page.locator("main").inner_text()
    for title in ("No valid run at any rate", "there are no percentiles", "there is no time line", "cannot be split"):
        assert title in text
    assert page.locator("#percentiles").count() == 0


def test_page_of_changes(open_page: Open, document: Document, tmp_path: Path) -> None:
    """A diff is drawn the same way: every ratio, its verdict, and the conditions that differ."""
    before, after = document.comparison, read_results(SAMPLE).only.comparison
    after.plan = replace(after.plan, connections=after.plan.connections + 1)
    old, new = (Results([Document(side)]) for side in (before, after))
    found = difference(before, after)
    page = open_page(write_changes(Differences([found], []), old, new, tmp_path)[0], width=390)
    assert page.said == []
    assert len(page.asked) == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ratios = [row["ratio"] for index in range(len(after.servers)) for row in data(page, f"changes-{index}", "changes")]
    assert ratios == [None if math.isnan(change.ratio.value) else change.ratio.value for change in found.changes]
    assert "plan.connections" in page.locator(".warning").inner_text()
