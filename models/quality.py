"""How good a model is on examples that its training never saw, as one figure with a floor below it."""

from collections.abc import Callable
from dataclasses import dataclass

from models.examples import Examples
from models.tensors import Tensors


@dataclass(frozen=True)
class Quality:
    """A figure of merit and what it must reach.

    Attributes:
        name: What the figure is called, such as ``accuracy``.
        at_least: The floor: a build with a lower figure fails.
        measure: (outputs of the reference, held-out examples) -> the figure, larger for a better model.
    """

    name: str
    at_least: float
    measure: Callable[[Tensors, Examples], float]


def accuracy(*, at_least: float) -> Quality:
    """Share of the held-out examples whose largest score is that of their class, 0 to 1. For one output of scores."""

    def measure(outputs: Tensors, held_out: Examples) -> float:
        (scores,) = outputs.values()
        return float((scores.argmax(axis=1) == held_out.labels).mean())

    return Quality("accuracy", at_least, measure)
