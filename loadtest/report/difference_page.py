"""diff.html, diff.md and diff.json: what changed between two comparisons, rendered as a comparison is."""

from pathlib import Path

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.machine.files import write_whole
from loadtest.records import to_json
from loadtest.report.answer import conditions
from loadtest.report.difference import Difference
from loadtest.report.figures import changes
from loadtest.report.markdown import bullets, environment
from loadtest.report.page import render
from loadtest.report.pictures import write_pictures
from loadtest.report.table import markdown_rows


def write_changes(found: Difference, before: ComparisonResult, after: ComparisonResult, folder: Path) -> list[Path]:
    """Write the page, the text with its pictures, and the plain data.

    Args:
        found: What changed.
        before: The first comparison.
        after: The second one.
        folder: Where to.

    Returns:
        Paths of diff.html, diff.md and diff.json.
    """
    drawn = changes.figure(found, after)
    figures = [drawn] if found.changes else []
    page, text, data = (folder / f"diff.{kind}" for kind in ("html", "md", "json"))
    write_whole(
        page,
        render(
            "changes.html.j2",
            figures,
            before=before,
            after=after,
            finding=drawn.finding,
            figures=figures,
            conditions=found.conditions,
            missing=found.missing,
            conditions_before=conditions(before),
            conditions_after=conditions(after),
            environment_before=environment(before),
            environment_after=environment(after),
        ),
    )
    pictures = write_pictures(figures, folder).get(drawn.key, [])
    write_whole(text, _markdown(found, before, after, pictures))
    write_whole(data, to_json(found).decode())
    return [page, text, data]


def _markdown(found: Difference, before: ComparisonResult, after: ComparisonResult, pictures: list[str]) -> str:
    table = changes.table(found, after.names)
    header = [column.title for column in table.columns]
    lines = [[column.text(cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]
    texts = [index for index, column in enumerate(table.columns) if column.digits is None]
    sections = [
        f"# Before and after: {before.started_at} and {after.started_at}",
        changes.finding(found, after.names),
        markdown_rows(header, lines, texts) if lines else "",
        "\n".join(f"![after divided by before, server {number}]({path})" for number, path in enumerate(pictures, 1)),
        bullets("Only in one of them", found.missing),
        bullets("Conditions that differ, so that a change need not be the server's", found.conditions),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"
