"""How a result is told: the page, Markdown, tables, figures, differences and thresholds, all made from result.json."""

from pathlib import Path

from loadtest.machine.files import write_whole
from loadtest.report.reading import Results


def write_report(results: Results, folder: Path) -> list[Path]:
    """Write report.html, and report.md with its pictures, beside result.json.

    Args:
        results: The comparisons, and the ease of setup where it was measured.
        folder: Where to.

    Returns:
        Paths of the two.
    """
    # The charting library is only loaded where a report is written: the other commands start without it.
    from loadtest.report.figures import draw
    from loadtest.report.markdown import render
    from loadtest.report.page import render_page
    from loadtest.report.pictures import write_pictures

    drawn = draw(results)
    page, text = folder / "report.html", folder / "report.md"
    write_whole(page, render_page(results, drawn))
    write_whole(text, render(results, drawn, write_pictures(drawn.every, folder)))
    return [page, text]
