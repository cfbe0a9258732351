"""Static pictures of the figures, drawn from the same specifications as the page's charts, without a browser."""

from collections.abc import Sequence
from pathlib import Path

import vl_convert

from loadtest.machine.files import write_whole
from loadtest.report.figure import Figure
from loadtest.report.theme import picture

FOLDER = "figures"


def write_pictures(figures: Sequence[Figure], folder: Path) -> dict[str, list[str]]:
    """Write each panel as an SVG file into the folder's ``figures``.

    Args:
        figures: The figures.
        folder: Of the report.

    Returns:
        Relative paths of the pictures, by the key of their figure.
    """
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    written = {}
    for figure in figures:
        paths = [f"{FOLDER}/{panel.key}.svg" for panel in figure.panels]
        for panel, path in zip(figure.panels, paths, strict=True):
            svg = vl_convert.vegalite_to_svg(picture(panel.spec, panel.title))
            write_whole(folder / path, svg)
        written[figure.key] = paths
    return written
