"""diff.html, diff.md and diff.json: what changed between two results, rendered as a result is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.machine.files import write_whole
from loadtest.records import to_json
from loadtest.report.answer import conditions
from loadtest.report.difference import Difference, Differences
from loadtest.report.figure import Figure
from loadtest.report.figures import changes, slug
from loadtest.report.markdown import bullets, environment
from loadtest.report.page import render
from loadtest.report.pictures import write_pictures
from loadtest.report.reading import Results
from loadtest.report.table import markdown_rows


def write_changes(found: Differences, before: Results, after: Results, folder: Path) -> list[Path]:
    """Write the page, the text with its pictures, and the plain data.

    Args:
        found: What changed.
        before: The first result.
        after: The second one.
        folder: Where to.

    Returns:
        Paths of diff.html, diff.md and diff.json.
    """
    several = len(found.comparisons) > 1
    pairs = [
        _Pair(one, _of(before, one.name), _of(after, one.name), f"{slug(one.name)}-" if several else "")
        for one in found.comparisons
    ]
    figures = [pair.figure for pair in pairs if pair.found.changes]
    page, text, data = (folder / f"diff.{kind}" for kind in ("html", "md", "json"))
    write_whole(
        page,
        render(
            "changes.html.j2",
            figures,
            started=[results.documents[0].comparison.started_at for results in (before, after)],
            missing=found.missing,
            pairs=[
                {
                    "title": pair.found.name if several else "What changed",
                    "found": pair.found,
                    "finding": pair.figure.finding,
                    "figure": pair.figure if pair.found.changes else None,
                    "sides": [
                        {"title": title, "conditions": conditions(side), "environment": environment(side)}
                        for title, side in (("Before", pair.before), ("After", pair.after))
                    ],
                }
                for pair in pairs
            ],
        ),
    )
    pictures = write_pictures(figures, folder)
    write_whole(text, _markdown(pairs, found.missing, pictures))
    write_whole(data, to_json(found).decode())
    return [page, text, data]


@dataclass(frozen=True)
class _Pair:
    """Two comparisons of one name.

    Attributes:
        found: What changed.
        before: The first one.
        after: The second one.
        prefix: Of the figure's keys.
    """

    found: Difference
    before: ComparisonResult
    after: ComparisonResult
    prefix: str

    @cached_property
    def figure(self) -> Figure:
        return changes.figure(self.found, self.after, self.prefix)


def _of(results: Results, name: str) -> ComparisonResult:
    """The comparison of that name; where there is only one, that one."""
    return results.comparisons.get(name) or results.only.comparison


def _markdown(pairs: Sequence[_Pair], missing: Sequence[str], pictures: Mapping[str, Sequence[str]]) -> str:
    first = pairs[0]
    sections = [f"# Before and after: {first.before.started_at} and {first.after.started_at}"]
    for pair in pairs:
        found = pair.found
        table = changes.table(found, pair.after.names)
        header = [column.title for column in table.columns]
        texts = [index for index, column in enumerate(table.columns) if column.digits is None]
        paths = pictures.get(pair.figure.key, ())
        sections += [
            f"## {found.name}" if len(pairs) > 1 else "",
            pair.figure.finding,
            markdown_rows(header, table.texts, texts) if table.rows else "",
            "\n".join(f"![after divided by before, server {number}]({path})" for number, path in enumerate(paths, 1)),
            bullets("Only in one of them", found.missing),
            bullets("Conditions that differ, so that a change need not be the server's", found.conditions),
        ]
    sections.append(bullets("Only in one of the results", missing))
    return "\n\n".join(section for section in sections if section) + "\n"
