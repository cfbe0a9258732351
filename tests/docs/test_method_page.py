"""The page on the method names tests that are there, files that are there, and sources that it lists."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "method.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| claim |")
]
WORDS = 1_200


def _named_tests(text: str) -> list[str]:
    return re.findall(r"`(tests/[\w/]+\.py::\w+)`", text)


def test_every_test_that_the_page_names_is_collected() -> None:
    """Each of them, under the name that stands on the page."""
    named = set(_named_tests(TEXT))
    assert len(named) > 20
    files = sorted({name.partition("::")[0] for name in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    collected = {line.partition("[")[0] for line in done.stdout.splitlines()}
    assert named - collected == set(), done.stdout[-2000:] + done.stderr[-2000:]


def test_every_claim_has_its_test() -> None:
    """No row is without one, and nothing on the page is still to be filled in."""
    assert len(ROWS) > 20
    assert [row[0] for row in ROWS if not _named_tests(row[-1])] == []
    assert "TODO" not in TEXT


def test_every_source_is_listed_and_every_listed_one_is_used() -> None:
    """The numbers in the rows and in the text are those of the list."""
    body, _, sources = TEXT.partition("## Sources")
    listed = set(re.findall(r"^(\d+)\. ", sources, re.MULTILINE))
    cited = {number for row in ROWS for number in re.findall(r"\d+", re.sub(r"\(.*?\)", "", row[1]))}
    in_text = {number for group in re.findall(r"\((\d+(?:, \d+)*)(?:\)|, and)", body) for number in group.split(", ")}
    assert cited | in_text == listed


def test_every_link_leads_somewhere() -> None:
    """A file beside the page, or a heading on it."""
    titles = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links
    for link in links:
        assert link[1:] in headings if link.startswith("#") else (PAGE.parent / link).exists(), link


def test_the_page_is_two_pages_long() -> None:
    """Words without the names of tests and the list of sources: what nobody reads convinces nobody."""
    prose = re.sub(r"`tests/[^`]+`", "", TEXT.partition("## Sources")[0])
    assert len(re.findall(r"\w[\w'.,-]*", prose)) <= WORDS
