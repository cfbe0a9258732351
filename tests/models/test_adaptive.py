"""The workload whose depth depends on its input: all depths occur, and stages that nobody needs are not computed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import adaptive, example_files, weights_file
from models.artifact_manifest import read
from models.errors import WorkloadError
from models.read_back import torch_form
from models.shipped.load import load
from tests.models.conftest import real_model


@pytest.fixture(scope="module")
def folder() -> Path:
    """The artifact that scripts/test built."""
    return real_model("adaptive")


def test_golden_examples_leave_at_every_depth(folder: Path) -> None:
    """In turns, so that each batch mixes depths; the first, which forms are traced with, leaves first."""
    examples, _ = example_files.read(folder, read(folder).golden)
    depth = adaptive.depths(weights_file.read(folder / "weights.safetensors"), examples.inputs["image"])
    assert depth[:4].tolist() == [1, 2, 3, 4]
    assert np.bincount(depth)[1:].min() >= 3


def test_stages_that_nobody_needs_are_not_computed(folder: Path) -> None:
    """A batch takes as many stages as its deepest instance, and each instance gets the answer it gets alone."""
    examples, outputs = example_files.read(folder, read(folder).golden)
    images = torch.from_numpy(examples.inputs["image"][:4])
    module = load(folder / "torch")
    run: list[int] = []
    for number, stage in enumerate(module.get_submodule("stages").children(), start=1):
        stage.register_forward_hook(lambda *_, number=number: run.append(number))
    for rows, stages in ((slice(0, 1), 1), (slice(1, 2), 2), (slice(0, 3), 3), (slice(0, 4), 4)):
        run.clear()
        with torch.inference_mode():
            answer = module(images[rows])
        assert run == list(range(1, stages + 1))
        np.testing.assert_allclose(answer, outputs["probabilities"][rows], rtol=0, atol=1e-5)


def test_an_answer_does_not_jump_where_an_instance_leaves(folder: Path) -> None:
    """On a path between two digits that leave at different stages, a small step changes the answer a little."""
    examples, _ = example_files.read(folder, read(folder).golden)
    first, last = examples.inputs["image"][0].astype(np.float64), examples.inputs["image"][3].astype(np.float64)
    steps = np.linspace(0, 1, 20_001)[:, None, None]
    path = first * (1 - steps) + last * steps
    weights = weights_file.read(folder / "weights.safetensors")
    assert set(np.unique(adaptive.depths(weights, path))) == {1, 2, 3, 4}
    assert np.abs(np.diff(adaptive.reference(weights, path), axis=0)).max() < 0.01


def test_an_example_alone_and_in_a_batch_of_other_depths(folder: Path) -> None:
    """The order of a batch changes nothing for its instances."""
    examples, outputs = example_files.read(folder, read(folder).golden)
    turned = np.arange(examples.size)[::-1].copy()
    answer = torch_form(folder / "torch")({"image": examples.inputs["image"][turned]})["probabilities"]
    np.testing.assert_allclose(answer, outputs["probabilities"][turned], rtol=0, atol=1e-5)


def test_training_refuses_a_network_that_uses_no_depth() -> None:
    """A network in which all leave at once would test nothing."""
    with pytest.raises(WorkloadError, match="no held-out digit leaves at stage 2, 3, 4"):
        adaptive._of_each_depth(np.ones(9, np.int64))
