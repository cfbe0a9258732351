"""The vectors by which a model tells its inputs apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples
from models.tensors import Tensors, TensorSpec

if TYPE_CHECKING:
    from torch import nn

LEAST = 3
"""Dimensions of an embedding; fewer can be drawn as they are."""


def of_last_layer(module: "nn.Module", examples: Examples, inputs: Sequence[TensorSpec]) -> NDArray[np.float32] | None:
    """What goes into the last dense layer of a classifier, where its classes can be told apart by planes.

    Args:
        module: The network, with its weights.
        examples: Of one length.
        inputs: The inputs of the model.

    Returns:
        (n, d), or None where there is no such layer, or it is not given one vector for each example.
    """
    import torch
    from torch import nn

    taken: list[Any] = []

    def take(layer: nn.Module, given: tuple[Any, ...]) -> None:
        taken[:] = given

    hooks = [one.register_forward_pre_hook(take) for one in module.modules() if isinstance(one, nn.Linear)]
    try:
        ((_, tensors),) = examples.batches(inputs, examples.size)
        with torch.no_grad():
            module(*(torch.from_numpy(tensors[spec.name]) for spec in inputs))
    finally:
        for hook in hooks:
            hook.remove()
    if not taken or taken[0].ndim != 2 or len(taken[0]) != examples.size or taken[0].shape[1] < LEAST:
        return None
    return np.asarray(taken[0].numpy(), np.float32)


def of_output(outputs: Tensors) -> NDArray[np.float32] | None:
    """The answer itself, where it is one vector."""
    arrays = list(outputs.values())
    if len(arrays) != 1 or arrays[0].dtype.kind != "f" or arrays[0].ndim != 2 or arrays[0].shape[1] < LEAST:
        return None
    return arrays[0].astype(np.float32)


def plane(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """The vectors in the two directions in which they differ most (principal components).

    Returns:
        (n, 2), and the share of their variance that lies in it, 0 to 1.
    """
    from sklearn.decomposition import PCA

    analysis = PCA(2, svd_solver="full")
    points = analysis.fit_transform(vectors.astype(np.float64))
    return np.asarray(points), float(analysis.explained_variance_ratio_.sum())
