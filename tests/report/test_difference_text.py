"""diff.md: the table of the page, as Markdown."""

import copy
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.report.difference import difference, differences
from loadtest.report.difference_page import write_changes
from loadtest.report.figures import changes
from loadtest.report.reading import Document, Results


def test_every_change_is_a_row_and_texts_are_aligned_to_the_left(comparison: ComparisonResult, tmp_path: Path) -> None:
    """A row for each change under as many columns as the page has; a bar in a label does not split a cell."""
    after = copy.deepcopy(comparison)
    after.servers[0].label = "a|b"
    before, now = (Results([Document(side)]) for side in (comparison, after))
    every = differences(before, now)
    (found,) = every.comparisons
    table = changes.table(found, after.names)
    text = write_changes(every, before, now, tmp_path)[1].read_text(encoding="utf-8")
    header, rule, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert header == "| " + " | ".join(column.title for column in table.columns) + " |"
    assert rule.split()[1::2] == [":---" if column.digits is None else "---:" for column in table.columns]
    assert len(rows) == len(found.changes) > 0
    assert {row.replace("\\|", "").count("|") for row in rows} == {len(table.columns) + 1}
    assert any("a\\|b" in row for row in rows)


def test_results_of_different_methods_are_not_compared(comparison: ComparisonResult) -> None:
    """A change between them may be one of the method; the refusal names both and says what to do."""
    after = copy.deepcopy(comparison)
    after.method = comparison.method + 1
    with pytest.raises(UsageError) as refused:
        difference(comparison, after)
    assert f"method {comparison.method} and the second by method {after.method}" in str(refused.value)
    assert "measure both with the same release" in str(refused.value)
