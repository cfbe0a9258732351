"""Workload `adaptive`: the digits through a network whose depth depends on its input.

Each stage but the last may answer, and the network stops when every instance of the batch has its answer: easy digits
leave early (BranchyNet, Teerapittayanon et al., 2016). It is the test of how a form of a model treats control flow that
depends on data.

An exit at a bare threshold would be a trap of its own: two correct programs whose confidences differ in the last bit of
a float32 would leave at different stages and answer differently, and no tolerance could tell that from an error. So a
stage that is half sure gives half of the answer, and the next ones the rest (as in Adaptive Computation Time, Graves,
2016). An instance leaves where nothing is left to give, and the answer is continuous in the weights and the input.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.digit_images import split
from models.errors import WorkloadError
from models.quality import accuracy
from models.recording.training_recorder import TrainingRecorder
from models.tensors import TensorSpec
from models.workload import Trained, Weights, Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

STAGES = 4
EPOCHS = 30
BATCH = 64
RATE, DECAY, SMOOTHING = 3e-3, 1e-4, 0.05
GOLDEN_PER_DEPTH = 12
IMPORTANCE = (0.3, 0.5, 0.7, 1.0)
"""What the loss of each stage counts for: the later ones, which get the hard digits, count more."""


def train(seed: int) -> Trained:
    """Train all stages together on a stratified four fifths of the digits; deterministic on one thread for one seed.

    Raises:
        WorkloadError: At one of the stages no held-out digit leaves.
    """
    import torch

    seen, held_out = split(seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several threads add up in no fixed order
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = network()
            unseen = torch.from_numpy(held_out.inputs["image"]), torch.from_numpy(held_out.labels)
            recorder = TrainingRecorder(module, _loss_of_answer, *unseen)
            weights = _fit(module, torch.from_numpy(seen.inputs["image"]), torch.from_numpy(seen.labels), recorder)
    finally:
        torch.set_num_threads(threads)
    golden = held_out.part(_of_each_depth(depths(weights, held_out.inputs["image"])))
    settings = {"epochs": EPOCHS, "batch": BATCH, "learning_rate": RATE, "decay": DECAY, "smoothing": SMOOTHING}
    return Trained(weights, held_out, golden, history=recorder.history(settings, seen.size))


def _loss_of_answer(answer: "torch.Tensor", classes: "torch.Tensor") -> "torch.Tensor":
    """What is recorded: the cross-entropy of the answer as it is served, of which each stage gives its share."""
    from torch import nn

    return nn.functional.nll_loss(answer.log(), classes)


def _fit(module: "nn.Module", images: "torch.Tensor", classes: "torch.Tensor", recorder: TrainingRecorder) -> Weights:
    """The weights after training: every stage answers every digit, and the losses are added up."""
    import torch
    from torch import nn

    loss = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for start in range(0, len(images), BATCH):
            batch = order[start : start + BATCH]
            optimizer.zero_grad()
            losses = [loss(scores, classes[batch]) for scores in module.all_scores(images[batch])]  # type: ignore[operator]
            torch.autograd.backward(sum(share * one for share, one in zip(IMPORTANCE, losses, strict=True)))
            with torch.no_grad():
                answer = module(images[batch])
            recorder.step(
                _loss_of_answer(answer, classes[batch]), answer, classes[batch], float(schedule.get_last_lr()[0])
            )
            optimizer.step()
        recorder.epoch()
        schedule.step()
    return {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}


def _of_each_depth(depth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows for golden examples: one that leaves at each stage, then the next one of each, and so on."""
    leaving = [np.flatnonzero(depth == stage)[:GOLDEN_PER_DEPTH] for stage in range(1, STAGES + 1)]
    if missing := [str(stage) for stage, rows in enumerate(leaving, start=1) if not rows.size]:
        raise WorkloadError(f"workload 'adaptive': no held-out digit leaves at stage {', '.join(missing)}")
    turns = np.concatenate([np.arange(rows.size) for rows in leaving])
    return np.asarray(np.concatenate(leaving)[np.argsort(turns, kind="stable")])


def network() -> "nn.Module":
    """(batch, 8, 8) float32 grey values in [0, 1] -> (batch, 10) probabilities."""
    import torch
    from torch import nn

    class Stage(nn.Module):
        """A residual layer, and the scores of the digits by what is known after it."""

        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(128, 128)
            self.head = nn.Linear(128, 10)

        def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = hidden + torch.relu(self.dense(hidden))
            return hidden, self.head(hidden)

    class Adaptive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.entry = nn.Linear(64, 128)
            self.stages = nn.ModuleList([Stage() for _ in range(4)])
            # Up to the first confidence a stage gives nothing of the answer, from the second on all of it.
            self.sure = nn.Parameter(torch.tensor([0.5, 0.9]), requires_grad=False)

        def all_scores(self, image: torch.Tensor) -> list[torch.Tensor]:
            """For the training: the scores of every stage, before the softmax."""
            hidden, every = torch.relu(self.entry(image.flatten(1))), []
            for stage in self.stages:
                hidden, scores = stage(hidden)
                every.append(scores)
            return every

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(self.entry(image.flatten(1)))  # (batch, 128)
            answer = torch.zeros([image.shape[0], 10])
            left = torch.ones([image.shape[0], 1])  # how much of its answer each instance still has to get
            for number, stage in enumerate(self.stages):
                if bool((left > 0).any()):  # otherwise all have left, and no further stage is computed
                    hidden, scores = stage(hidden)
                    probabilities = torch.softmax(scores, 1)
                    confidence = probabilities.amax(1, keepdim=True)
                    share = ((confidence - self.sure[0]) / (self.sure[1] - self.sure[0])).clamp(0, 1)
                    if number == len(self.stages) - 1:
                        share = torch.ones_like(share)
                    answer = answer + left * share * probabilities
                    left = left * (1 - share)
            return answer

    return Adaptive()


def twin(weights: Weights) -> Any:
    """Build the same network as a `tf.Module`, whose stages are one `tf.while_loop` over stacked weights."""
    import tensorflow as tf

    def stacked(name: str) -> NDArray[np.float32]:
        # PyTorch keeps (out, in), TensorFlow wants (in, out).
        return np.stack([weights[f"stages.{stage}.{name}"].T for stage in range(STAGES)])

    class Twin(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
        def __init__(self) -> None:
            super().__init__(name="adaptive")
            self.entry_kernel = tf.Variable(weights["entry.weight"].T, name="entry/kernel")
            self.entry_bias = tf.Variable(weights["entry.bias"], name="entry/bias")
            self.kernels = tf.Variable(stacked("dense.weight"), name="stages/kernels")  # (stage, 128, 128)
            self.biases = tf.Variable(stacked("dense.bias"), name="stages/biases")
            self.head_kernels = tf.Variable(stacked("head.weight"), name="heads/kernels")  # (stage, 128, 10)
            self.head_biases = tf.Variable(stacked("head.bias"), name="heads/biases")
            self.sure = tf.Variable(weights["sure"], name="sure")

        def __call__(self, image: Any) -> Any:
            rows = tf.shape(image)[0]
            hidden = tf.nn.relu(tf.matmul(tf.reshape(image, (-1, 64)), self.entry_kernel) + self.entry_bias)
            start = (tf.constant(0), hidden, tf.zeros((rows, 10)), tf.ones((rows, 1)))
            _, _, answer, _ = tf.while_loop(self._some_are_left, self._stage, start)
            return answer

        def _some_are_left(self, stage: Any, hidden: Any, answer: Any, left: Any) -> Any:
            return tf.logical_and(stage < STAGES, tf.reduce_any(left > 0))

        def _stage(self, stage: Any, hidden: Any, answer: Any, left: Any) -> Any:
            hidden += tf.nn.relu(tf.matmul(hidden, self.kernels[stage]) + self.biases[stage])
            probabilities = tf.nn.softmax(tf.matmul(hidden, self.head_kernels[stage]) + self.head_biases[stage])
            confidence = tf.reduce_max(probabilities, axis=1, keepdims=True)
            share = tf.clip_by_value((confidence - self.sure[0]) / (self.sure[1] - self.sure[0]), 0, 1)
            share = tf.where(stage == STAGES - 1, tf.ones_like(share), share)
            return stage + 1, hidden, answer + left * share * probabilities, left * (1 - share)

    return Twin()


def reference(weights: Weights, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 8, 8) -> (n, 10) float64, in NumPy: every stage of every instance, weighted with what it has to give."""
    answer, _ = _walk(weights, inputs)
    return answer


def depths(weights: Weights, inputs: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n, 8, 8) -> (n,): how many stages each instance needs, 1 to `STAGES`."""
    _, depth = _walk(weights, inputs)
    return depth


def _walk(weights: Weights, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    low, high = w["sure"]
    hidden = np.maximum(inputs.reshape(len(inputs), 64) @ w["entry.weight"].T + w["entry.bias"], 0)
    answer, left = np.zeros((len(inputs), 10)), np.ones((len(inputs), 1))
    depth = np.zeros(len(inputs), np.int64)
    for stage in range(STAGES):
        depth += left[:, 0] > 0
        layer = {
            name: w[f"stages.{stage}.{name}"] for name in ("dense.weight", "dense.bias", "head.weight", "head.bias")
        }
        hidden = hidden + np.maximum(hidden @ layer["dense.weight"].T + layer["dense.bias"], 0)
        scores = hidden @ layer["head.weight"].T + layer["head.bias"]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        confidence = probabilities.max(axis=1, keepdims=True)
        share = np.clip((confidence - low) / (high - low), 0, 1) if stage < STAGES - 1 else np.ones_like(left)
        answer, left = answer + left * share * probabilities, left * (1 - share)
    return answer, depth


WORKLOAD = Workload(
    name="adaptive",
    version=1,
    description="Which digit an 8x8 image shows, by a network that stops as soon as it is sure.",
    inputs=(TensorSpec("image", "float32", (8, 8)),),
    outputs=(TensorSpec("probabilities", "float32", (10,)),),
    labels=tuple("0123456789"),
    seed=0,
    quality=accuracy(at_least=0.96),
    train=train,
    network=network,
    twin=twin,
    reference=reference,
)
