"""How it learned: loss, accuracy and learning rate over the steps of the training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.recording.figures.style import FIRST, SECOND, new_figure
from models.recording.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(trainings: Mapping[int, History]) -> "Figure":
    """Three panels; the further seeds are thin lines behind those of the first one."""
    from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

    first, *others = trainings.values()
    figure = new_figure(9, 2.8)
    loss, accuracy, rate = figure.subplots(1, 3)
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        for other in others:
            axes.plot(*held_out(other, name), color=SECOND, linewidth=0.8, alpha=0.5)
        axes.plot(*training(first, name), color=FIRST, linewidth=1.5, label="training, mean of an epoch")
        axes.plot(*held_out(first, name), color=SECOND, linewidth=1.5, label="held out")
        axes.set_title(name.capitalize())
    loss.set_yscale("log")
    loss.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    loss.yaxis.set_major_formatter(ScalarFormatter())  # plain numbers, not powers of ten
    loss.yaxis.set_minor_locator(NullLocator())
    low = min(min(held_out(one, "accuracy")[1][len(one.epochs) // 8 :]) for one in trainings.values())
    accuracy.set_ylim(low - 0.02, 1.004)
    rate.plot(range(1, len(first.steps) + 1), [step.learning_rate for step in first.steps], color=FIRST, linewidth=1.5)
    rate.set_title("Learning rate")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-3, -3), useMathText=True)
    for axes in (loss, accuracy, rate):
        axes.set_xlabel("steps")
        axes.grid(visible=True)
    loss.legend(loc="upper right", fontsize="small")
    return figure


def training(history: History, name: str) -> tuple[Sequence[int], NDArray[np.float64]]:
    """The steps at which epochs end, and the mean of `loss` or `accuracy` over the steps of each."""
    ends = [epoch.step for epoch in history.epochs]
    values = np.array([getattr(step, name) for step in history.steps])
    return ends, np.array([part.mean() for part in np.split(values, ends[:-1])])


def held_out(history: History, name: str) -> tuple[Sequence[int], Sequence[float]]:
    """The steps at which epochs end, and `loss` or `accuracy` on the held-out examples there."""
    return [epoch.step for epoch in history.epochs], [getattr(epoch, name) for epoch in history.epochs]
