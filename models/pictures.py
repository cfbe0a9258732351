"""Encoded pictures as inputs: the examples of a model whose input is a picture, as PNG and as JPEG files.

PNG keeps pixels as they are, so that a decoder gives back the values of the tensors, rounded to 8 bits. JPEG does not:
the right answers are those to what a decoder gives back.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples
from models.tensors import TensorSpec

MOST_LOAD = 256
"""Pictures of ordinary runs at most: fewer than tensors, since each has answers of its own in every format."""

MOST_PIXELS = 16 * 224 * 224 * 3
"""Most values that the pictures of ordinary runs hold together: the reference takes its time for large ones."""


@dataclass(frozen=True)
class PictureFormat:
    """A format of encoded pictures.

    Attributes:
        name: Of its folder, its signature and its wire formats.
        written_with: Pillow's options of the encoder. JPEG's are what cameras and web sites commonly use.
    """

    name: str
    written_with: dict[str, Any]


FORMATS = (PictureFormat("png", {}), PictureFormat("jpeg", {"quality": 90}))


def taken_by(inputs: Sequence[TensorSpec]) -> bool:
    """Whether a model of these inputs takes encoded pictures: it has one input, and that is a picture."""
    return len(inputs) == 1 and inputs[0].white is not None


def encoded(spec: TensorSpec, values: NDArray[Any], form: PictureFormat) -> bytes:
    """The picture of one instance, its values rounded to pixels.

    Args:
        spec: The input, a picture.
        values: Of `spec.shape`; what no pixel can be is cut off.
        form: Its format.
    """
    from PIL import Image

    pixels = np.clip(np.rint(values * np.float32(spec.white or 1)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form.name, **form.written_with)
    return file.getvalue()


def decoded(spec: TensorSpec, picture: bytes) -> NDArray[Any]:
    """The values of one instance, of `spec.shape`."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        pixels = np.asarray(image)
    return np.asarray(pixels.astype(spec.numpy_dtype) / spec.numpy_dtype(spec.white or 1))


def made_of(examples: Examples, spec: TensorSpec, form: PictureFormat) -> tuple[Examples, Examples]:
    """Encode examples.

    Returns:
        The files, an array (n,) of `bytes`, and the inputs that they decode to, each with the classes of the examples.
    """
    files = [encoded(spec, values, form) for values in examples.inputs[spec.name]]
    values = np.stack([decoded(spec, file) for file in files])
    return (
        Examples({spec.name: np.array(files, np.bytes_)}, examples.labels),
        Examples({spec.name: values}, examples.labels),
    )


def of_load(load: Examples, fresh: Examples) -> tuple[Examples, Examples]:
    """Of the inputs of ordinary runs and of those that no ordinary run sends, those of which pictures are made."""
    (values,) = load.inputs.values()
    here = min(load.size, MOST_LOAD, max(1, MOST_PIXELS // values[0].size))
    return load.part(slice(here)), fresh.part(slice(fresh.size * here // load.size))
