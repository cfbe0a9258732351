"""How a result is told: the page, Markdown, tables, figures, differences and thresholds, all made from result.json."""

from pathlib import Path

from loadtest.machine.files import write_whole
from loadtest.report.reading import Results, holds_comparison, read_results
from loadtest.resilience.resilience_file import RESILIENCE, read_resilience
from loadtest.resilience.soak_file import holds_soak, read_soak
from loadtest.servers.model_record import write_model


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
    for model in results.models.values():
        write_model(model, folder)
    page, text = folder / "report.html", folder / "report.md"
    write_whole(page, render_page(results, drawn))
    write_whole(text, render(results, drawn, write_pictures(drawn.every, folder)))
    return [page, text]


def holds_fire(folder: Path) -> bool:
    """Whether a folder holds what was tried out under fire, or a soak."""
    return (folder / RESILIENCE).is_file() or holds_soak(folder)


def write_resilience_report(folder: Path, out: Path) -> list[Path]:
    """Show a resilience.json and a soak: on the page of the comparison beside them, or on one of their own.

    Args:
        folder: Of one of them or both.
        out: Where to.

    Returns:
        Paths of the page and of the text.
    """
    from loadtest.report.figures import long_night, under_fire
    from loadtest.report.markdown import under_fire as text_of
    from loadtest.report.page import render_fire
    from loadtest.report.pictures import write_pictures

    if holds_comparison(folder):
        return write_report(read_results(folder), out)
    figures, fire, night = {}, None, None
    if (folder / RESILIENCE).is_file():
        file = read_resilience(folder / RESILIENCE)
        figures["Under fire"] = under_fire.figure(file.servers)
        fire = file, figures["Under fire"]
    if holds_soak(folder):
        soaked = read_soak(folder)
        figures["A long night"] = long_night.figure(list(soaked.servers.values()))
        night = soaked, figures["A long night"]
    stem = "resilience" if fire else "soak"
    page, text = out / f"{stem}.html", out / f"{stem}.md"
    write_whole(page, render_fire(fire, night))
    pictures = write_pictures(list(figures.values()), out)
    sections = [part for title, figure in figures.items() for part in text_of(figure, pictures[figure.key], title)]
    write_whole(text, "\n\n".join(sections) + "\n")
    return [page, text]
