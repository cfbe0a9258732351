"""Workloads so small that only their SavedModel is of interest."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples
from models.quality import Quality
from models.tensors import TensorSpec
from models.workload import Workload

IDS = TensorSpec("ids", "int64", (None,), lengths=(2, 9), padding=7, minimum=0, maximum=99)
PAIRS = TensorSpec("pairs", "float32", (None, 2), lengths=(2, 9))
SEQUENCE = Examples(
    {"ids": np.array([[1, 2, 3], [4, 5, 7]]), "pairs": np.ones((2, 3, 2), np.float32)}, lengths=np.array([3, 2])
)


def tiny(
    forward: Callable[..., Any], inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], name: str = "tiny"
) -> Workload:
    """A workload without weights, whose twin is a function; it cannot be trained."""

    def twin(_weights: Any) -> Any:
        import tensorflow as tf

        class Twin(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
            def __call__(self, *tensors: Any) -> Any:
                return forward(*tensors)

        return Twin()

    def never(*_: Any) -> Any:
        raise NotImplementedError

    return Workload(
        name=name,
        version=1,
        description="A tiny model.",
        inputs=inputs,
        outputs=outputs,
        seed=0,
        quality=Quality("none", 0, never),
        train=never,
        network=never,
        twin=twin,
        reference=never,
        vary=never,
    )


def sequence() -> Workload:
    """Of each sequence: the sum of ids times both numbers of their pairs, and how often the padding of ids is there."""

    def forward(ids: Any, pairs: Any) -> Any:
        import tensorflow as tf

        total = tf.reduce_sum(tf.cast(ids, tf.float32)[:, :, None] * pairs, axis=[1, 2])
        return total, tf.reduce_sum(tf.cast(ids == 7, tf.int64), axis=1)

    outputs = TensorSpec("total", "float32", ()), TensorSpec("filled", "int64", ())
    return tiny(forward, (IDS, PAIRS), outputs, "sequence")


def strings(*arrays: NDArray[Any]) -> NDArray[np.object_]:
    """Each array as the octets of one instance."""
    return np.array([array.tobytes() for array in arrays], np.object_)
