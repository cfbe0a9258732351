"""A real headless Chromium, driven by Playwright; the tests are skipped where there is none."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.report import write_report
from loadtest.report.reading import Document, Results, read_results
from tests.report.samples import SAMPLE

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: scripts/venv installs it")

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--no-first-run",
)
Page = Any
"""A page of Playwright, with the lists ``said`` (console and errors) and ``asked`` (addresses requested)."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium of this machine, with a fresh profile.

    No longer than a module: while Playwright is open its event loop counts as running in this thread, and tests of
    other folders that start their own would fail.
    """
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser is installed: one of {', '.join(CHROMIUMS)} must be on PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        yield chromium
        chromium.close()


def assert_fits(page: Page, width: int) -> None:
    """The page is as wide as the window, with every detail open too, and no chart reaches beyond it."""
    page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    charts = page.locator(".chart svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert max(charts) <= width


@pytest.fixture(scope="session")
def document() -> Document:
    """The sample comparison."""
    return read_results(SAMPLE).only


@pytest.fixture(scope="session")
def report(document: Document, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sample comparison."""
    page, _ = write_report(Results([document]), tmp_path_factory.mktemp("report"))
    return page


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Page]]:
    """Opens a file as a reader would, waits until its charts are drawn, and notes all that it says and asks for."""
    contexts = []

    def opened(path: Path, *, width: int = 1280, scheme: str = "light", permissions: tuple[str, ...] = ()) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        context.grant_permissions(list(permissions))
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(path.as_uri())
        page.evaluate("drawn")
        return page

    yield opened
    for context in contexts:
        context.close()
