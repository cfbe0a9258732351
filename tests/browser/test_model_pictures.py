"""The pictures of a model on the report's page, in a real browser."""

import shutil
from collections.abc import Callable
from pathlib import Path

from loadtest.report import write_report
from loadtest.report.reading import read_results
from loadtest.servers.artifact import Artifact
from tests.browser.conftest import Page
from tests.report.samples import SAMPLE

TOLD = """[...document.querySelectorAll('.drawn')].map(one => [
    one.querySelector('.sideways').scrollWidth > one.querySelector('.sideways').clientWidth,
    getComputedStyle(one.querySelector('h4'), '::after').content.includes('scrolls sideways')])"""


def test_a_picture_that_is_wider_than_a_phone_says_so(
    open_page: Callable[..., Page], artifact: Artifact, tmp_path: Path
) -> None:
    """Where the browser shows no bar, what is cut off looks like all there is; a wide window shows it whole."""
    shutil.copy(SAMPLE, tmp_path / "result.json")
    shutil.copytree(artifact.folder / "figures", tmp_path / "model" / "digits")
    page, _ = write_report(read_results(tmp_path), tmp_path)
    narrow = open_page(page, width=390).evaluate(TOLD)
    assert {tuple(one) for one in narrow} == {(True, True), (False, False)}
    assert {tuple(one) for one in open_page(page).evaluate(TOLD)} == {(False, False)}
