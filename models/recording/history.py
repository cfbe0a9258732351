"""The history of a training, step by step and epoch by epoch. Needs no framework."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.tensors import Tensors

SNAPSHOTS = 10
"""About as many epochs have histograms."""


@dataclass(frozen=True)
class Step:
    """One step of the optimiser.

    Attributes:
        loss: Of its batch, before the step.
        accuracy: Share of its batch that was answered rightly, 0 to 1, before the step.
        learning_rate: That it was made with.
    """

    loss: float
    accuracy: float
    learning_rate: float


@dataclass(frozen=True)
class Epoch:
    """The model after one pass over the training examples.

    Attributes:
        step: How many steps were made by then.
        loss: On the held-out examples.
        accuracy: On the held-out examples, 0 to 1.
        weights: The parameters, by name.
        gradients: Of the loss of the last batch by each parameter, by its name.
    """

    step: int
    loss: float
    accuracy: float
    weights: Tensors
    gradients: Tensors


@dataclass(frozen=True)
class History:
    """A whole training.

    Attributes:
        settings: What was chosen before it, by name: sizes, rates, numbers of epochs. The seed is not among them.
        examples: How many examples it learned from.
        steps: In their order.
        epochs: In their order.
    """

    settings: Mapping[str, float | str]
    examples: int
    steps: Sequence[Step]
    epochs: Sequence[Epoch]

    @property
    def snapshots(self) -> Sequence[Epoch]:
        """Some of the epochs, evenly spread and with the last one: enough to see weights and gradients move."""
        return self.epochs[:: -max(1, len(self.epochs) // SNAPSHOTS)][::-1]
