"""What is recorded of a model: how it was trained, where that was seen, and how it answers held-out examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.recording import embedding, evaluation
from models.recording.evaluation import Evaluation
from models.recording.history import History
from models.tensors import Tensors
from models.workload import Trained, Weights, Workload

if TYPE_CHECKING:
    from torch import nn

THUMBNAIL = 64
"""Pixels of the longer side of an example as a small picture."""


@dataclass(frozen=True)
class Record:
    """What the writers write.

    Attributes:
        workload: The model.
        weights: That it has.
        quality: How good it is, by the workload's own figure.
        trainings: By seed, that of these weights first; empty where nothing was trained.
        example: Inputs of one instance, for the graphs.
        evaluation: Its answers to the held-out examples.
        images: Pictures of it, by name: (height, width, 3) uint8.
    """

    workload: Workload
    weights: Weights
    quality: float
    trainings: Mapping[int, History]
    example: Tensors
    evaluation: Evaluation
    images: Mapping[str, NDArray[np.uint8]]

    def network(self) -> "nn.Module":
        """The PyTorch module with the weights."""
        return network(self.workload, self.weights)

    def twin(self) -> Any:
        """The `tf.Module` with the weights."""
        return self.workload.twin(self.weights)


def network(workload: Workload, weights: Weights) -> "nn.Module":
    """The PyTorch module of a workload with these weights, ready to answer."""
    import torch

    module = workload.network()
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return module.eval()


def evaluate(workload: Workload, weights: Weights, trained: Trained, outputs: Tensors) -> Evaluation:
    """How a model answers its held-out examples.

    Args:
        workload: The model.
        weights: That it has.
        trained: Gives the examples.
        outputs: The answers of the reference to them.
    """
    held_out, labels = trained.held_out, workload.class_names
    classified = evaluation.classified(outputs, held_out.labels, labels)
    vectors = None
    if classified and held_out.lengths is None and not any(spec.dtype == "string" for spec in workload.inputs):
        vectors = embedding.of_last_layer(network(workload, weights), held_out, workload.inputs)
    return Evaluation(
        classified,
        evaluation.titles(held_out, trained.texts, labels),
        embedding.of_output(outputs) if vectors is None else vectors,
        evaluation.thumbnails(held_out, workload.inputs, THUMBNAIL),
    )


def trainings(workload: Workload, first: Trained, count: int) -> dict[int, History]:
    """The histories of so many trainings by their seeds: the first one, and those of the seeds that follow.

    One training says nothing of what is chance. A workload whose training leaves no history has none here.
    """
    if first.history is None:
        return {}
    seeds = range(workload.seed + 1, workload.seed + count)
    further = {seed: workload.train(seed).history for seed in seeds}
    return {workload.seed: first.history} | {seed: one for seed, one in further.items() if one is not None}
