"""The text encoder: the same as upstream's, it knows what sentences mean, and padding is nothing to it."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from models import example_files, minilm
from models.artifact_manifest import Manifest, read
from models.examples import Examples, answers
from models.minilm_sentences import IDS, MASK, NEAREST, sequences, tokens, vary
from models.read_back import saved_model, torch_form
from models.tensors import Tensors
from models.weights_file import read as read_weights
from tests.models.conftest import real_model


@pytest.fixture(scope="module")
def built_minilm() -> Path:
    """The artifact that scripts/test built."""
    return real_model("minilm")


@pytest.fixture(scope="module")
def manifest(built_minilm: Path) -> Manifest:
    """Its manifest."""
    return read(built_minilm)


@pytest.fixture(scope="module")
def golden(built_minilm: Path, manifest: Manifest) -> tuple[Examples, Tensors]:
    """The golden sentences with their vectors."""
    return example_files.read(built_minilm, manifest.golden)


def test_every_sentence_has_the_right_neighbour(golden: tuple[Examples, Tensors]) -> None:
    """Of all the others, the one that says the same is nearest; the sentences are of many lengths."""
    examples, outputs = golden
    vectors = outputs["embedding"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-12)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert cosines.argmax(axis=1).tolist() == [number ^ 1 for number in range(2 * len(NEAREST))]
    assert examples.lengths is not None
    assert len(set(examples.lengths.tolist())) >= 16


@pytest.mark.slow
def test_upstream_agrees(built_minilm: Path, golden: tuple[Examples, Tensors]) -> None:
    """The authors' library, with the tokenizer, model and pooling of the package, in float64."""
    from sentence_transformers import SentenceTransformer

    folder = minilm.WEIGHTS.find().parent
    theirs = SentenceTransformer(str(folder), device="cpu").double()
    sentences = [sentence for pair in NEAREST for sentence in pair]
    expected = theirs.encode(sentences, convert_to_numpy=True)
    assert np.abs(golden[1]["embedding"] - expected).max() < 1e-6


def padded_by_first(inputs: Tensors, more: int) -> Tensors:
    """As TensorFlow Serving pads: each tensor with its own first element."""
    return {
        name: np.concatenate([array, np.full((len(array), more), array.flat[0])], axis=1)
        for name, array in inputs.items()
    }


def padded_by_zero(inputs: Tensors, more: int) -> Tensors:
    """As TorchServe's handler pads: with the declared padding."""
    return {name: np.pad(array, ((0, 0), (0, more))) for name, array in inputs.items()}


def test_padding_changes_nothing(built_minilm: Path, manifest: Manifest, golden: tuple[Examples, Tensors]) -> None:
    """In all three forms, for a short, a middling and the longest sentence, whichever way a server fills them up."""
    weights = read_weights(built_minilm / "weights.safetensors")
    forms = {
        "reference": lambda inputs: minilm.WORKLOAD.answer(weights, inputs),
        "torch": torch_form(built_minilm / "torch"),
        "tensorflow": saved_model(built_minilm / "saved_model" / "1", manifest.inputs, manifest.outputs),
    }
    examples, outputs = golden
    batches = list(examples.batches(manifest.inputs, 1))  # from the shortest to the longest
    for rows, inputs in (batches[0], batches[len(batches) // 2], batches[-1]):
        for name, forward in forms.items():
            for pad, more in itertools.product((padded_by_first, padded_by_zero), (1, 40)):
                padded = forward(pad(inputs, more))["embedding"]
                assert np.abs(padded - outputs["embedding"][rows]).max() < 1e-6, (name, pad, rows, more)


def test_a_mask_hides_what_it_covers(built_minilm: Path, manifest: Manifest) -> None:
    """Other words under the mask give the same vector, in both frameworks; without the mask they do not."""
    one = tokens(["The train leaves at noon."])
    ids, mask = one.inputs[IDS.name].copy(), one.inputs[MASK.name].copy()
    other = ids.copy()
    other[0, 3:5] = [2_000, 3_000]
    hiding = mask.copy()
    hiding[0, 3:5] = 0
    for forward in (
        torch_form(built_minilm / "torch"),
        saved_model(built_minilm / "saved_model" / "1", manifest.inputs, manifest.outputs),
    ):
        hidden, still = (forward({IDS.name: each, MASK.name: hiding})["embedding"] for each in (ids, other))
        np.testing.assert_allclose(hidden, still, atol=1e-6)
        shown = forward({IDS.name: other, MASK.name: mask})["embedding"]
        assert np.abs(shown - hidden).max() > 0.01


def test_inputs_for_load_tests_are_many_and_different() -> None:
    """Eight lengths that come equally often, in changing order, all beginning and ending as a tokenizer makes them."""
    held_out = tokens(["A cat sleeps.", "The train to Hamburg leaves at noon, and nobody is on it."])
    made = vary(np.random.default_rng(1), held_out, 256)
    assert made.lengths is not None
    lengths, counts = np.unique(made.lengths, return_counts=True)
    assert lengths.tolist() == [8, 12, 16, 20, 24, 32, 48, 64]
    assert set(counts.tolist()) == {32}
    assert len({row.tobytes() for row in made.inputs[IDS.name]}) == 256
    assert set(made.inputs[IDS.name][:, 0].tolist()) == {101}
    ends = [row[length - 1] for row, length in zip(made.inputs[IDS.name], made.lengths, strict=True)]
    assert set(map(int, ends)) == {102}
    np.testing.assert_array_equal(made.inputs[MASK.name].sum(axis=1), made.lengths)


def test_answers_come_in_the_order_of_the_examples() -> None:
    """Though examples of one length are asked together."""
    mixed = sequences([np.arange(length, dtype=np.int64) for length in (3, 5, 3, 2, 5, 4)])
    asked: list[tuple[int, ...]] = []

    def add(inputs: Tensors) -> Tensors:
        asked.append(inputs[IDS.name].shape)
        return {"sum": inputs[IDS.name].sum(axis=1)}

    assert answers(add, mixed, (IDS, MASK))["sum"].tolist() == [3, 10, 3, 1, 10, 6]
    assert sorted(asked) == [(1, 2), (1, 4), (2, 3), (2, 5)]
