"""Inputs as encoded pictures: what PNG keeps, what the artifact holds, and which inputs can be pictures."""

from pathlib import Path

import numpy as np
import pytest

from models import example_files, pictures
from models.artifact_manifest import read
from models.examples import Examples
from models.tensors import TensorSpec

PNG, JPEG = pictures.FORMATS
GREY = TensorSpec("image", "float32", (4, 6), white=255)
COLOUR = TensorSpec("image", "float64", (4, 6, 3), white=100)


@pytest.mark.parametrize("spec", [GREY, COLOUR])
def test_png_keeps_the_rounded_values(spec: TensorSpec) -> None:
    """Each to the nearest pixel; what no pixel can be becomes the nearest one that can."""
    assert spec.white
    values = np.random.default_rng(1).uniform(-0.1, 1.1, spec.of_length(None)).astype(spec.dtype)
    found = pictures.decoded(spec, pictures.encoded(spec, values, PNG))
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    assert np.abs(found - np.clip(values, 0, 255 / spec.white)).max() <= 0.5 / spec.white + 1e-6


def test_the_answers_are_those_to_what_a_decoder_gives() -> None:
    """JPEG alters pixels, and what it makes of them is what the reference is asked."""
    values = np.random.default_rng(1).uniform(size=(3, 4, 6)).astype(np.float32)
    files, inputs = pictures.made_of(Examples({"image": values}), GREY, JPEG)
    assert files.inputs["image"].dtype.kind == "S"
    for file, right in zip(files.inputs["image"], inputs.inputs["image"], strict=True):
        np.testing.assert_array_equal(pictures.decoded(GREY, bytes(file)), right)
    assert np.abs(inputs.inputs["image"] - values).max() > 1 / 255


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_pictures_of_an_artifact_are_all_different(artifact: Path, form: str) -> None:
    """Those of ordinary runs, and those that none sends, each of them whole."""
    files = read(artifact).pictures[form]
    sets = [example_files.read(artifact, one)[0].inputs["image"].tolist() for one in (files.load, files.fresh)]
    assert [len(one) for one in sets] == [256, 768]
    every = [file for one in sets for file in one]
    assert len(set(every)) == len(every)
    assert all(file.endswith(b"IEND\xaeB`\x82" if form == "png" else b"\xff\xd9") for file in every)


@pytest.mark.parametrize(
    ("dtype", "shape", "white"),
    [("float32", (8,), 255), ("float32", (8, 8, 4), 255), ("uint8", (8, 8), 255), ("float32", (8, 8), 0)],
)
def test_what_cannot_be_a_picture_is_refused(dtype: str, shape: tuple[int, ...], white: int) -> None:
    """Another rank, four channels, whole numbers, and a white that no value can be divided by."""
    with pytest.raises(ValueError, match="a picture is a float tensor of shape"):
        TensorSpec("image", dtype, shape, white=white)
