"""The figures of the report, one module each: its numbers, then its charts."""

import math

from loadtest.report.figure import Figure
from loadtest.report.figures import cost, load_curve, overhead, overview, percentiles, setup_effort, timeline
from loadtest.report.reading import Document


def all_figures(document: Document) -> list[Figure]:
    """Every figure that the comparison has valid numbers for, in the order of the page."""
    figures = [overview.figure(document)]
    figures += [module.figure(document.comparison) for module in (load_curve, percentiles, timeline, overhead, cost)]
    if document.setup:
        figures.append(setup_effort.figure(document))
    return [figure for figure in figures if _holds_numbers(figure)]


def _holds_numbers(figure: Figure) -> bool:
    cells = [cell for table in figure.tables for row in table.rows for cell in row]
    return any(isinstance(cell, int | float) and math.isfinite(cell) for cell in cells)
