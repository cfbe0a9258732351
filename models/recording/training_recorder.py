"""Looks on while PyTorch trains, and changes nothing: neither a weight nor what is random."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from models.recording.history import Epoch, History, Step
from models.tensors import Tensors

if TYPE_CHECKING:
    import torch
    from torch import nn


class TrainingRecorder:
    """Makes the history of a training of a classifier.

    Args:
        module: What is trained: a batch of inputs to the scores of the classes, (n, classes).
        loss: (scores, classes) -> the loss.
        inputs: Of the held-out examples, in one batch.
        classes: Of the held-out examples, (n,) int64.
    """

    def __init__(
        self,
        module: "nn.Module",
        loss: "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]",
        inputs: "torch.Tensor",
        classes: "torch.Tensor",
    ) -> None:
        self._module, self._loss, self._inputs, self._classes = module, loss, inputs, classes
        self._steps: list[Step] = []
        self._epochs: list[Epoch] = []

    def step(self, loss: "torch.Tensor", scores: "torch.Tensor", classes: "torch.Tensor", learning_rate: float) -> None:
        """Note a step: the loss and the scores of its batch, and the learning rate that it is made with."""
        self._steps.append(Step(loss.item(), _accuracy(scores, classes), learning_rate))

    def epoch(self) -> None:
        """Note the model as it is now, with the gradients of the last step."""
        import torch

        with torch.no_grad():
            scores = self._module(self._inputs)
            loss = self._loss(scores, self._classes).item()
        parameters = dict(self._module.named_parameters())
        self._epochs.append(
            Epoch(
                len(self._steps),
                loss,
                _accuracy(scores, self._classes),
                _copies(parameters),
                _copies({name: one.grad for name, one in parameters.items() if one.grad is not None}),
            )
        )

    def history(self, settings: Mapping[str, float | str], examples: int) -> History:
        """What was noted, of a training with these settings from so many examples."""
        return History(settings, examples, self._steps, self._epochs)


def _accuracy(scores: "torch.Tensor", classes: "torch.Tensor") -> float:
    return (scores.argmax(1) == classes).float().mean().item()


def _copies(tensors: "Mapping[str, torch.Tensor]") -> Tensors:
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}
