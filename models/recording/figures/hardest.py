"""The hardest held-out examples, with what the model said of each and what is right."""

from typing import TYPE_CHECKING

from models.recording.evaluation import Evaluation
from models.recording.figures.style import INK, WRONG, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST, COLUMNS = 12, 6


def draw(evaluation: Evaluation) -> "Figure | None":
    """A row of pictures, the hardest first; None of what is no picture or has no classes."""
    classified, thumbnails = evaluation.classified, evaluation.thumbnails
    if classified is None or thumbnails is None:
        return None
    rows = classified.hardest(MOST)
    lines = -(-len(rows) // COLUMNS)
    figure = new_figure(9, 1.9 * lines)
    for axes in figure.subplots(lines, COLUMNS, squeeze=False).flat:
        axes.axis("off")
    for row, axes in zip(rows, figure.axes, strict=False):
        wrong = classified.said[row] != classified.right[row]
        axes.imshow(thumbnails[row], interpolation="nearest")
        axes.set_title(
            classified.told(row).replace(", is", "\nis"), color=WRONG if wrong else INK, fontsize=8, loc="center"
        )
    return figure
