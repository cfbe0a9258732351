"""Workload `corners`: which corner of the unit square is nearest to a point. Its weights are known, not learnt."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.workload import Examples, TensorSpec, Trained, Weights, Workload

if TYPE_CHECKING:
    from torch import nn

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)


def train(seed: int) -> Trained:
    """Minus the square of the distance to a corner is, up to what all corners share, linear in the point."""
    points = np.random.default_rng(seed).random((64, 2), dtype=np.float32)
    nearest = ((points[:, None] - CORNERS) ** 2).sum(axis=2).argmin(axis=1)
    examples = Examples(points, nearest.astype(np.int64))
    weights = {"dense.weight": 2 * CORNERS, "dense.bias": -(CORNERS**2).sum(axis=1)}
    return Trained(weights, held_out=examples, golden=Examples(points[:8], examples.labels[:8]))


def network() -> "nn.Module":
    """(batch, 2) -> (batch, 4) probabilities."""
    from collections import OrderedDict

    from torch import nn

    return nn.Sequential(OrderedDict(dense=nn.Linear(2, 4), softmax=nn.Softmax(1)))


def twin(weights: Weights) -> Any:
    """The same as a `tf.Module`."""
    import tensorflow as tf

    class Twin(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
        def __init__(self) -> None:
            super().__init__(name="corners")
            self.kernel = tf.Variable(weights["dense.weight"].T)
            self.bias = tf.Variable(weights["dense.bias"])

        def __call__(self, point: Any) -> Any:
            return tf.nn.softmax(tf.matmul(point, self.kernel) + self.bias)

    return Twin()


def reference(weights: Weights, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 2) -> (n, 4)."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    powers = np.exp(inputs @ w["dense.weight"].T + w["dense.bias"])
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


WORKLOAD = Workload(
    name="corners",
    version=1,
    description="Which corner of the unit square is nearest to a point.",
    input=TensorSpec("point", "float32", (2,)),
    output=TensorSpec("probabilities", "float32", (4,)),
    labels=("lower left", "upper left", "lower right", "upper right"),
    seed=0,
    minimum_accuracy=1.0,
    train=train,
    network=network,
    twin=twin,
    reference=reference,
)
