"""The held-out examples as the model sees them: its vectors, in the two directions in which they differ most."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.recording.embedding import plane
from models.recording.evaluation import Evaluation
from models.recording.figures.style import FIRST, INK, WRONG, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

APART = 0.09
"""Least distance of two texts in the map, as a share of its height."""


def draw(evaluation: Evaluation) -> "Figure | None":
    """A map in which each class has a colour and mistakes are ringed; None where the model has no vectors."""
    import seaborn

    if evaluation.embedding is None or evaluation.size < 3:
        return None
    points, share = plane(evaluation.embedding)
    figure = new_figure(7, 4.6)
    axes = figure.subplots()
    classified = evaluation.classified
    if classified:
        names = [classified.labels[one] for one in classified.right]
        order = [classified.labels[one] for one in np.unique(classified.right)]
        palette = seaborn.husl_palette(len(order), l=0.6, s=0.8)
        # A class of one or two characters is drawn as these, so that colour is not all that tells it.
        short = all(len(name) <= 2 for name in order)
        marks = {name: f"${name}$" if short else "o" for name in order}
        seaborn.scatterplot(
            x=points[:, 0], y=points[:, 1], hue=names, hue_order=order, palette=palette, style=names, markers=marks,
            s=40 if short else 24, linewidth=0, ax=axes,
        )  # fmt: skip
        wrong = classified.said != classified.right
        axes.scatter(
            points[wrong, 0], points[wrong, 1], s=70, facecolor="none", edgecolor=WRONG, label="wrongly answered"
        )
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    else:
        axes.scatter(points[:, 0], points[:, 1], s=18, color=FIRST, linewidth=0)
        _name(axes, points, evaluation)
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"Held-out examples in two dimensions ({share:.0%} of the variance)")
    return figure


def _name(axes: "Axes", points: NDArray[np.float64], evaluation: Evaluation) -> None:
    """Write beside some of the points what they are, so far apart that the texts can be read."""
    spread = np.ptp(points, axis=0)
    height = axes.get_ylim()[1] - axes.get_ylim()[0]
    taken: list[NDArray[np.float64]] = []
    for point, title in zip(points, evaluation.titles, strict=True):
        if all(abs(point - other)[1] > APART * height or abs(point - other)[0] > 0.55 * spread[0] for other in taken):
            text = title if len(title) <= 34 else f"{title[:33]}…"
            left = point[0] < points[:, 0].mean()
            axes.annotate(
                text, tuple(point), (4 if left else -4, 3), textcoords="offset points", color=INK, fontsize=7.5,
                ha="left" if left else "right",
            )  # fmt: skip
            taken.append(point)
