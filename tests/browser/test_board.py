"""`python -m models board` in a real browser: each tab shows what was recorded, of both frameworks."""

from collections.abc import Iterator
from typing import Any

import pytest

from loadtest.servers.artifact import Artifact
from tests.models.board_process import shown

pytestmark = pytest.mark.slow

RUNS = [f"{framework}/seed-{seed}" for framework in ("tensorflow", "torch") for seed in range(3)]


@pytest.fixture(scope="module")
def address(artifact: Artifact) -> Iterator[str]:
    """TensorBoard over the artifact of digits."""
    with shown(artifact.folder.parents[1], "digits") as found:
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A window of its own, as each tab is opened by its address."""
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    yield opened
    opened.close()


def test_scalars_show_curves_of_both(page: Any, address: str) -> None:
    """The card of the accuracy holds a line for each run of training and of held-out examples."""
    page.goto(f"{address}#timeseries")
    card = page.locator("scalar-card").filter(has_text="accuracy").first
    card.locator("svg path, svg polyline, canvas").first.wait_for()
    for run in RUNS:
        page.get_by_text(f"{run}/training", exact=True).first.wait_for()


def test_graphs_show_the_layers_of_both(page: Any, address: str) -> None:
    """TensorFlow's operations, and, chosen as the run, PyTorch's module."""
    page.goto(f"{address}#graphs")
    page.locator("tf-graph-scene text.nodelabel").filter(has_text="Conv2D").first.wait_for()
    page.locator("tf-graph-controls tf-dropdown, tf-graph-controls paper-dropdown-menu").first.click()
    page.locator("paper-item").filter(has_text="torch").first.click()
    page.locator("tf-graph-scene text.nodelabel").filter(has_text="Sequential").first.wait_for()


def test_images_are_drawn(page: Any, address: str) -> None:
    """The confusion matrix and the hardest examples, of both, have come as pictures."""
    page.goto(f"{address}#images")
    pictures = page.locator("tf-image-loader img")
    pictures.nth(3).wait_for()
    assert pictures.count() == 4
    widths = pictures.evaluate_all("all => Promise.all(all.map(async one => (await one.decode(), one.naturalWidth)))")
    assert min(widths) > 100


def test_the_projector_holds_every_held_out_example(page: Any, address: str) -> None:
    """It is a page in a page in the page."""
    page.goto(f"{address}#projector")
    inner = page.frame_locator("iframe").frame_locator("iframe")
    inner.locator("span.numDataPoints").filter(has_text="360").wait_for()


def test_hparams_list_each_seed_of_both(page: Any, address: str) -> None:
    """A row for each training."""
    page.goto(f"{address}#hparams")
    for run in RUNS:
        page.get_by_text(run, exact=True).first.wait_for()
