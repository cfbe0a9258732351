"""The inputs for load tests: many, different, of full precision, plausible, and within the memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from models import digits, example_files, load_inputs
from models.artifact_manifest import read
from models.tensors import TensorSpec
from models.weights_file import read as read_weights


@pytest.fixture
def load(artifact: Path) -> dict[str, NDArray[Any]]:
    """What the build wrote."""
    manifest = read(artifact)
    found: dict[str, NDArray[Any]] = {}
    for prefix, files in (("", manifest.load), ("fresh_", manifest.fresh)):
        examples, outputs = example_files.read(artifact, files)
        found |= {f"{prefix}inputs": examples.inputs["image"], f"{prefix}outputs": outputs["probabilities"]}
    return found


def test_there_are_as_many_as_a_run_needs(load: dict[str, NDArray[Any]]) -> None:
    """Shapes and dtypes; all inputs, those that no ordinary run sends included, are different."""
    assert {key: (value.shape, str(value.dtype)) for key, value in load.items()} == {
        "inputs": ((4_096, 8, 8), "float32"),
        "outputs": ((4_096, 10), "float64"),
        "fresh_inputs": ((12_288, 8, 8), "float32"),
        "fresh_outputs": ((12_288, 10), "float64"),
    }
    every = np.concatenate([load["inputs"], load["fresh_inputs"]])
    assert len({one.tobytes() for one in every}) == len(every)


def test_answers_are_those_of_the_reference(artifact: Path, load: dict[str, NDArray[Any]]) -> None:
    """In float64, whichever chunk an input was in."""
    weights = read_weights(artifact / "weights.safetensors")
    for prefix in ("", "fresh_"):
        inputs, outputs = load[f"{prefix}inputs"], load[f"{prefix}outputs"]
        for some in (slice(0, 5), slice(250, 260), slice(-5, None)):
            np.testing.assert_allclose(digits.reference(weights, inputs[some]), outputs[some], rtol=0, atol=1e-12)


def test_numbers_have_all_their_digits(load: dict[str, NDArray[Any]]) -> None:
    """Pixels in sixteenths have five digits at most; of these hardly any has fewer than seven, and none is zero."""
    text = orjson.dumps(load["inputs"][:500].ravel(), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    digits_of = [len(number.split("e")[0].replace(".", "").lstrip("0")) for number in text.strip("[]").split(",")]
    assert min(digits_of) > 0
    assert np.mean(np.array(digits_of) >= 7) > 0.95


def test_inputs_stay_examples_of_their_class(artifact: Path, load: dict[str, NDArray[Any]]) -> None:
    """In the range of the held-out images, close to the one that each came from, and nearly always of its class."""
    held_out = digits.train(read(artifact).seed).held_out.inputs["image"]
    source = np.arange(len(load["inputs"])) % len(held_out)
    assert load["inputs"].min() >= held_out.min()
    assert load["inputs"].max() <= held_out.max()
    assert np.abs(load["inputs"] - held_out[source]).max() < 0.05
    classes = digits.reference(read_weights(artifact / "weights.safetensors"), held_out).argmax(axis=1)
    assert (load["outputs"].argmax(axis=1) == classes[source]).mean() > 0.99


def test_the_same_seed_gives_the_same_inputs(artifact: Path, load: dict[str, NDArray[Any]]) -> None:
    """Bit for bit."""
    again = load_inputs.make(digits.WORKLOAD, digits.train(digits.WORKLOAD.seed).held_out)
    assert [one.inputs["image"].tobytes() for one in again] == [load[f"{of}inputs"].tobytes() for of in ("", "fresh_")]


@pytest.mark.parametrize("shape", [(1,), (8, 8), (3, 224, 224), (10_000_000,)])
def test_memory_is_bounded(shape: tuple[int, ...]) -> None:
    """At most 4,096 for runs, 64 MiB in all, and never none."""
    inputs, outputs = (TensorSpec("in", "float32", shape),), (TensorSpec("out", "float32", (10,)),)
    count = load_inputs.count(replace(digits.WORKLOAD, inputs=inputs, outputs=outputs))
    assert 1 <= count <= 4_096
    held = count * (1 + load_inputs.FRESH_PER_LOAD) * (4 * int(np.prod(shape)) + 80)
    assert held <= load_inputs.MAX_BYTES or count == 1
