"""docs/method.md: every test that it names is there, and so is every file."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "method.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINKED = re.compile(r"\]\((?!http)([^)#]+)\)")


def test_every_test_that_is_named_exists() -> None:
    """A claim whose test was renamed or taken away would be held by nothing."""
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) >= 20
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{path} has no test {name}"
        assert name.startswith("test_")


def test_every_row_has_a_test() -> None:
    """No row of the tables makes a claim without one."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    claims = [row for row in rows if not row.startswith(("| claim", "| :---"))]
    assert len(claims) >= 15
    assert [row for row in claims if not NAMED.search(row)] == []


def test_every_file_that_is_linked_exists() -> None:
    """Links lead somewhere."""
    links = LINKED.findall(PAGE.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (PAGE.parent / link).is_file(), link
