"""How a result is told: the page, Markdown, tables, figures, differences and thresholds, all made from result.json."""

from pathlib import Path

from loadtest.machine.files import write_whole
from loadtest.report.reading import Results, holds_comparison, read_results
from loadtest.resilience.resilience_file import RESILIENCE, read_resilience


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


def write_resilience_report(folder: Path, out: Path) -> list[Path]:
    """Show a resilience.json: on the page of the comparison beside it, or on a page of its own where there is none.

    Args:
        folder: Of resilience.json.
        out: Where to.

    Returns:
        Paths of the page and of the text.
    """
    from loadtest.report.figures import under_fire
    from loadtest.report.markdown import under_fire as text_of
    from loadtest.report.page import render_fire
    from loadtest.report.pictures import write_pictures

    if holds_comparison(folder):
        return write_report(read_results(folder), out)
    file = read_resilience(folder / RESILIENCE)
    figure = under_fire.figure(file.servers)
    page, text = out / "resilience.html", out / "resilience.md"
    write_whole(page, render_fire(file, figure))
    pictures = write_pictures([figure], out)
    write_whole(text, "\n\n".join(text_of(figure, pictures[figure.key])) + "\n")
    return [page, text]
