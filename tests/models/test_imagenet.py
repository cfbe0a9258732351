"""The image classifier: the same as upstream's, and it sees what the photographs show."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import example_files, imagenet
from models.artifact_manifest import read
from models.imagenet_photographs import PHOTOGRAPHS, labels, pixels
from models.packaged_file import PackagedFile
from models.weights_file import read as read_weights
from tests.models.conftest import real_model


@pytest.fixture(scope="module")
def built_imagenet() -> Path:
    """The artifact that scripts/test built."""
    return real_model("imagenet")


def photograph(name: str) -> PackagedFile:
    """The photograph of this file name."""
    (found,) = [file for file in PHOTOGRAPHS if file.path.endswith(f"/{name}")]
    return found


def test_the_cat_is_a_cat(built_imagenet: Path) -> None:
    """Each golden photograph, as it is, has the class that it should show as its most probable one."""
    examples, outputs = example_files.read(built_imagenet, read(built_imagenet).golden)
    names = labels()
    found = [names[number] for number in outputs["probabilities"].argmax(axis=1)[: len(PHOTOGRAPHS)]]
    assert found == [classes[0] for classes in PHOTOGRAPHS.values()]
    assert found[0] == "Egyptian cat"
    assert examples.inputs["image"].shape == (2 * len(PHOTOGRAPHS), 224, 224, 3)
    np.testing.assert_array_equal(examples.inputs["image"][0, :, ::-1], examples.inputs["image"][len(PHOTOGRAPHS)])


@pytest.mark.slow
def test_upstream_agrees(built_imagenet: Path) -> None:
    """Their own network, with its batch normalisations, in float64: so the folding is right, and the padding."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(imagenet.WEIGHTS.find()))
    theirs = theirs.double().eval()
    names = ("chelsea.png", "rocket.jpg")
    images = np.stack([pixels(photograph(name).find(), 224, mirrored=False) for name in names])
    scaled = (images.astype(np.float64) * 255 - 127) / 128
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(scaled).permute(0, 3, 1, 2)).softmax(1).numpy()
    ours = imagenet.reference(read_weights(built_imagenet / "weights.safetensors"), images)
    assert np.abs(ours - expected).max() < 1e-6


def test_the_network_has_the_blocks_of_the_definition() -> None:
    """They are written twice, since a server gets the source text of the network alone."""
    from torch import nn

    network: Any = imagenet.network()
    shapes = []
    for block in network.blocks:
        depthwise, project = block.depthwise, block.project
        assert isinstance(depthwise, nn.Conv2d)
        first = project if block.expand is None else block.expand
        channels = depthwise.in_channels if block.expand is None else first.in_channels
        expansion = depthwise.in_channels // channels
        shapes.append((depthwise.kernel_size[0], depthwise.stride[0], expansion, channels, project.out_channels))
    assert [imagenet.Block(*shape) for shape in shapes] == imagenet.blocks()
    assert len(shapes) == 16
