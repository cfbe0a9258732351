"""Workload `diabetes`: how far a disease progresses within a year, from nine measurements and the patient's sex.

scikit-learn's 442 patients (Efron et al., Least Angle Regression, 2004); the set comes with it, nothing is downloaded.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples
from models.quality import Quality
from models.tensors import Tensors, TensorSpec
from models.workload import Trained, Weights, Workload

if TYPE_CHECKING:
    from torch import nn

SEX = 1  # the column with 1 for one sex and 2 for the other


def patients() -> tuple[Examples, NDArray[np.float32]]:
    """All patients, in a fixed order, with the progression of each, (442,)."""
    from sklearn.datasets import load_diabetes

    table, progression = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(0).permutation(len(table))
    table = table[order].astype(np.float32)
    inputs = {"measurements": np.delete(table, SEX, axis=1), "sex": table[:, SEX].astype(np.int64) - 1}
    return Examples(inputs), progression[order].astype(np.float32)


def train(seed: int) -> Trained:
    """Ridge regression in closed form on 342 patients; one offset for each sex, looked up in a table."""
    everybody, progression = patients()
    seen, held_out = everybody.part(slice(342)), everybody.part(slice(342, None))
    x, sex, y = seen.inputs["measurements"].astype(np.float64), seen.inputs["sex"], progression[:342]
    mean, spread = x.mean(axis=0), x.std(axis=0)
    columns = np.hstack([(x - mean) / spread, np.eye(2)[sex]])
    solution = np.linalg.solve(columns.T @ columns + np.eye(columns.shape[1]), columns.T @ y)
    weights = {
        "dense.weight": (solution[:9] / spread)[None],
        "dense.bias": -(solution[:9] / spread @ mean)[None],
        "offset.weight": solution[9:, None],
    }
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    return Trained(weights, held_out=held_out, golden=held_out.part(slice(16)))


def network() -> "nn.Module":
    """(batch, 9) float32 and (batch,) int64 -> (batch, 1) float32."""
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(9, 1)
            self.offset = nn.Embedding(2, 1)

        def forward(self, measurements: Any, sex: Any) -> Any:
            return self.dense(measurements) + self.offset(sex)

    return Network()


def twin(weights: Weights) -> Any:
    """The same as a `tf.Module`."""
    import tensorflow as tf

    class Twin(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
        def __init__(self) -> None:
            super().__init__(name="diabetes")
            self.kernel = tf.Variable(weights["dense.weight"].T)
            self.bias = tf.Variable(weights["dense.bias"])
            self.offset = tf.Variable(weights["offset.weight"])

        def __call__(self, measurements: Any, sex: Any) -> Any:
            return tf.matmul(measurements, self.kernel) + self.bias + tf.gather(self.offset, sex)

    return Twin()


def reference(weights: Weights, measurements: NDArray[np.float32], sex: NDArray[np.int64]) -> NDArray[np.float64]:
    """The same in float64, from the definition."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    return np.asarray(measurements @ w["dense.weight"].T + w["dense.bias"] + w["offset.weight"][sex])


def explained(outputs: Tensors, held_out: Examples) -> float:
    """R squared: the share of the variance among the held-out patients that the model explains."""
    progression = patients()[1][342:]
    errors = progression - outputs["progression"][:, 0]
    return float(1 - (errors**2).sum() / ((progression - progression.mean()) ** 2).sum())


WORKLOAD = Workload(
    name="diabetes",
    version=1,
    description="How far diabetes progresses within a year, from nine measurements and the patient's sex.",
    inputs=(
        TensorSpec("measurements", "float32", (9,)),
        TensorSpec("sex", "int64", (), minimum=0, maximum=1),
    ),
    outputs=(TensorSpec("progression", "float32", (1,)),),
    seed=0,
    quality=Quality("R squared", at_least=0.33, measure=explained),
    tolerance=1e-3,
    train=train,
    network=network,
    twin=twin,
    reference=reference,
)
