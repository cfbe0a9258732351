"""docs/method.md: the tests, files and sources that it names are there, and every claim has its test."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "method.md"
TEXT = PAGE.read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINKED = re.compile(r"\]\((?!http)([^)#]+)\)")
WORDS = 1_200
"""About two pages."""


def test_every_test_that_is_named_exists() -> None:
    """A claim whose test was renamed or taken away would be held by nothing."""
    named = NAMED.findall(TEXT)
    assert len(named) >= 20
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{path} has no test {name}"
        assert name.startswith("test_")


def test_every_row_has_a_test() -> None:
    """No row of the tables makes a claim without one."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    claims = [row for row in rows if not row.startswith(("| claim", "| :---"))]
    assert len(claims) >= 15
    assert [row for row in claims if not NAMED.search(row)] == []


def test_every_file_that_is_linked_exists() -> None:
    """Links lead somewhere."""
    links = LINKED.findall(TEXT)
    assert links
    for link in links:
        assert (PAGE.parent / link).is_file(), link


def test_every_source_is_listed_and_every_listed_one_is_used() -> None:
    """The numbers in square brackets are those of the list."""
    body, _, sources = TEXT.partition("## Sources")
    listed = set(re.findall(r"^(\d+)\. ", sources, re.MULTILINE))
    assert set(re.findall(r"\[(\d+)\]", body)) == listed


def test_the_page_is_two_pages_long() -> None:
    """Words without the names of tests and the list of sources: what nobody reads convinces nobody."""
    prose = re.sub(r"`tests/[^`]+`", "", TEXT.partition("## Sources")[0])
    assert len(re.findall(r"\w[\w'.,-]*", prose)) <= WORDS
