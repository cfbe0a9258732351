"""What a person does on the playground's page, and where its answers stand."""

from typing import Any

from tests.browser.conftest import Page
from tests.playground.handwriting import Stroke


def draw(page: Page, strokes: list[Stroke]) -> None:
    """Draw with the mouse, anew."""
    clear = page.locator(".clear")
    if clear.is_enabled():
        clear.click()
    for stroke in strokes:
        (first, *others) = points(page, stroke)
        page.mouse.move(*first)
        page.mouse.down()
        for point in others:
            page.mouse.move(*point)
        page.mouse.up()


def points(page: Page, stroke: Stroke) -> list[tuple[float, float]]:
    """Where the points of a stroke are in the window."""
    board = page.locator(".board")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]


def card(page: Page, title: str, part: str = "digits") -> Any:
    """The card of a server, or of the page itself."""
    return page.locator(f'#{part} .card[aria-label="{title}"]')


def settled(page: Page, title: str, state: str = "answered", part: str = "digits") -> Any:
    """The same, once its answer is there."""
    found = page.locator(f'#{part} .card[aria-label="{title}"][data-state={state}]')
    found.wait_for()
    return found


def answer(page: Page, title: str = "In this page") -> str:
    """The class that a card tells."""
    return str(settled(page, title).locator(".class").inner_text())


def all_agree(page: Page, digit: str) -> None:
    """Wait until each of the three servers has answered so, and as the page has."""
    page.wait_for_function(
        """digit => [...document.querySelectorAll('#digits .servers [data-state=answered]')]
            .filter(card => card.querySelector('[data-agrees=true]'))
            .filter(card => card.querySelector('.class').textContent === digit).length === 3""",
        arg=digit,
    )
