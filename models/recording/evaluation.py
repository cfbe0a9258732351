"""How a trained model answers the held-out examples: where it is right, where not, and how it sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import WorkloadError
from models.examples import Examples
from models.tensors import Tensors, TensorSpec

MOST_CLASSES = 40
"""Of a confusion matrix, beyond which nobody can read it."""


@dataclass(frozen=True)
class Classified:
    """The answers of a classifier.

    Attributes:
        scores: (n, classes) float64.
        right: (n,) int64, the true classes.
        labels: Names of all classes.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.int64]
    labels: Sequence[str]

    @property
    def said(self) -> NDArray[np.int64]:
        """(n,), the class with the largest score."""
        return np.asarray(self.scores.argmax(axis=1))

    @property
    def mistakes(self) -> int:
        """How many examples were given another class than theirs."""
        return int((self.said != self.right).sum())

    @property
    def present(self) -> NDArray[np.int64]:
        """The classes that held-out examples have, or were given."""
        return np.unique(np.concatenate([self.right, self.said]))

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """How often examples of a class (rows) were given a class (columns), of those `present`; None of too many."""
        present = self.present
        if len(present) > MOST_CLASSES:
            return None
        counts = np.zeros((len(present), len(present)), np.int64)
        np.add.at(counts, (np.searchsorted(present, self.right), np.searchsorted(present, self.said)), 1)
        return counts

    def hardest(self, most: int) -> NDArray[np.int64]:
        """The examples whose true class got the smallest scores, the worst one first."""
        given = self.scores[np.arange(len(self.right)), self.right]
        return np.asarray(np.argsort(given, kind="stable")[:most])

    def told(self, row: int) -> str:
        """What was said of an example, in words: ``5 (0.62), is 3``."""
        said, right = self.said[row], self.right[row]
        told = f"{self.labels[said]} ({self.scores[row, said]:.2f})"
        return told if said == right else f"{told}, is {self.labels[right]}"


@dataclass(frozen=True)
class Evaluation:
    """A model's answers to the held-out examples.

    Attributes:
        classified: Of a classifier; None of any other model.
        titles: What a person would call each example: its class, its text, or its number.
        embedding: (n, d) float32, a vector for each example by which the model tells them apart; None where it has none
            of three dimensions at least.
        thumbnails: (n, height, width, 3) uint8, the examples themselves, where they are pictures.
    """

    classified: Classified | None
    titles: Sequence[str]
    embedding: NDArray[np.float32] | None
    thumbnails: NDArray[np.uint8] | None

    @property
    def size(self) -> int:
        """How many examples there are."""
        return len(self.titles)


def classified(outputs: Tensors, right: NDArray[np.int64] | None, labels: Sequence[str]) -> Classified | None:
    """The answers of a classifier, and None of a model that is none.

    Args:
        outputs: Of the reference, by name.
        right: The true classes of the examples.
        labels: Names of the classes.

    Raises:
        WorkloadError: A true class has no name.
    """
    if right is None or not labels:
        return None
    if not 0 <= right.min() <= right.max() < len(labels):
        raise WorkloadError(f"examples of the classes {right.min()} to {right.max()}, and {len(labels)} labels")
    (scores,) = outputs.values()
    return Classified(scores, right, labels)


def titles(examples: Examples, texts: Sequence[str], labels: Sequence[str]) -> Sequence[str]:
    """What a person would call each example, on one line."""
    if texts:
        return [" ".join(text.split()) for text in texts]
    if examples.labels is not None and labels:
        return [labels[one] for one in examples.labels]
    return [f"example {number}" for number in range(examples.size)]


def thumbnails(examples: Examples, inputs: Sequence[TensorSpec], largest: int) -> NDArray[np.uint8] | None:
    """The examples as small colour pictures, where the one input is a picture of values from 0 to 1.

    Args:
        examples: The examples.
        inputs: The inputs of the model.
        largest: Pixels of the longer side, beyond which a picture is made smaller by taking every second pixel, every
            third one, and so on.

    Returns:
        (n, height, width, 3), or None.
    """
    if len(inputs) != 1 or not inputs[0].is_float or not inputs[0].has_shape_of_picture:
        return None
    pixels = examples.inputs[inputs[0].name]
    if not 0 <= pixels.min() <= pixels.max() <= 1:
        return None
    every = -(-max(pixels.shape[1:3]) // largest)
    small = np.rint(pixels[:, ::every, ::every] * 255).astype(np.uint8)
    return small if small.ndim == 4 else np.repeat(small[..., None], 3, axis=3)
