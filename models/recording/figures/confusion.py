"""The confusion matrix as a heat map."""

from typing import TYPE_CHECKING

from models.recording.evaluation import Classified
from models.recording.figures.style import INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALWAYS_LIGHT = "#fdfdfd"
"""Of numbers on dark cells, in either scheme; the numbers on light cells are as fixed."""
ALWAYS_DARK = "#101418"


def draw(classified: Classified) -> "Figure | None":
    """How often each class was said of each; None where there are too many classes to read."""
    import matplotlib as mpl
    import seaborn

    counts = classified.confusion
    if counts is None:
        return None
    names = [classified.labels[one] for one in classified.present]
    long = max(map(len, names)) > 3
    size = 1.6 + 0.36 * len(names) + (1.2 if long else 0)
    figure = new_figure(size, size)
    axes = figure.subplots()
    share = counts / counts.sum(axis=1, keepdims=True).clip(1)
    seaborn.heatmap(
        share, ax=axes, cmap="Blues", vmin=0, vmax=1, square=True, cbar=False, linewidths=0.6, linecolor=INK,
        xticklabels=names, yticklabels=names,
    )  # fmt: skip
    axes.collections[0].set_edgecolor(mpl.colors.to_rgba(INK, 0.3))
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = ALWAYS_LIGHT if share[row, column] > 0.5 else ALWAYS_DARK
        axes.text(column + 0.5, row + 0.5, str(counts[row, column]), color=colour, ha="center", va="center")
    axes.tick_params(axis="x", rotation=90 if long else 0, length=0)
    axes.tick_params(axis="y", rotation=0, length=0)
    axes.set_xlabel("said")
    axes.set_ylabel("is")
    axes.set_title("Confusion matrix, held-out examples")
    return figure
