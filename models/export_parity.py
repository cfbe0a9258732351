"""Parity of the exports: each must give the answers of the float64 reference."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import example_files, picture_signatures, read_back, serving_bytes
from models.artifact_manifest import Manifest
from models.errors import ExportParityError
from models.examples import CHUNK, Examples, Forward, answers
from models.forms import deployed
from models.tensors import Tensors, TensorSpec


def check(folder: Path, manifest: Manifest) -> dict[str, float]:
    """Load every export of the artifact in `folder` and compare its answers with the golden outputs.

    Each is asked twice, all instances of one length in one batch and one by one: the free batch size is part of the
    model. Then the inputs for load tests follow in batches, since a run with one wrong answer is invalid. The signature
    `serving_bytes` is asked the golden ones, with all lengths in one batch, and those of pictures all pictures.

    Returns:
        Largest absolute difference per export, and for the other signatures of the SavedModel.

    Raises:
        ExportParityError: An answer differs; names the export, the instance, the element and both values.
        ExportError: An export cannot be loaded.
        BrokenArtifactError: The golden files or the .mar cannot be read.
    """
    golden, load, fresh = (
        example_files.read(folder, files) for files in (manifest.golden, manifest.load, manifest.fresh)
    )
    with tempfile.TemporaryDirectory() as unpacked:
        read_back.unpack_mar(folder / "model_store" / f"{manifest.workload}.mar", Path(unpacked))
        version = folder / "saved_model" / str(manifest.version)
        exports: dict[str, Forward] = {
            "saved_model": read_back.saved_model(version, manifest.inputs, manifest.outputs),
            "torch": read_back.torch_form(folder / "torch"),
            "model_store": read_back.torch_form(Path(unpacked)),
            **deployed.load(folder, manifest),
        }
        worst = {}
        whole = min(golden[0].size, manifest.max_instances)
        for name, forward in exports.items():
            asked = [(name, whole, golden), (f"{name}, one by one,", 1, golden)]
            asked += [(f"{name}, load inputs,", min(CHUNK, manifest.max_instances), one) for one in (load, fresh)]
            worst[name] = max(ask(what, forward, most, one, manifest) for what, most, one in asked)
    if serving_bytes.offered(manifest.inputs):
        name = serving_bytes.SIGNATURE
        forward = read_back.saved_model(version, manifest.inputs, manifest.outputs, name)
        octets = serving_bytes.encoded(golden[0], manifest.inputs)
        worst[name] = max(
            _ask_strings(what, forward, most, octets, golden[1], manifest)
            for what, most in ((name, whole), (f"{name}, one by one,", 1))
        )
    for form, files in manifest.pictures.items():
        name = picture_signatures.SIGNATURES[form]
        forward = read_back.saved_model(version, manifest.inputs, manifest.outputs, name)
        sets = {kind: example_files.read(folder, getattr(files, kind)) for kind in example_files.KINDS}
        asked = [(name, 1, sets["golden"])]
        asked += [(f"{name}, {kind},", min(CHUNK, manifest.max_instances), one) for kind, one in sets.items()]
        worst[name] = max(
            _ask_strings(what, forward, most, _objects(examples.inputs), expected, manifest)
            for what, most, (examples, expected) in asked
        )
    return worst


def ask(what: str, forward: Forward, most: int, right: tuple[Examples, Tensors], manifest: Manifest) -> float:
    """Ask a forward pass for the answers to some examples, and return the largest difference from the right ones.

    Args:
        what: What it is called in an error.
        forward: The forward pass.
        most: Examples in a batch.
        right: The examples, and the right answers.
        manifest: Of the artifact; gives the outputs and the tolerance.

    Raises:
        ExportParityError: An answer differs.
    """
    examples, expected = right
    return _largest(what, answers(forward, examples, manifest.inputs, most), expected, manifest)


def _objects(files: Tensors) -> Tensors:
    """Files as TensorFlow takes them, each of its own length."""
    return {name: array.astype(np.object_) for name, array in files.items()}


def _ask_strings(
    what: str, forward: Forward, most: int, strings: Tensors, expected: Tensors, manifest: Manifest
) -> float:
    """The same of a signature that takes strings: for each input an array (n,) of `bytes`."""
    size = len(next(iter(strings.values())))
    rows = [slice(first, first + most) for first in range(0, size, most)]
    parts = [forward({name: array[some] for name, array in strings.items()}) for some in rows]
    actual = {spec.name: np.concatenate([part[spec.name] for part in parts]) for spec in manifest.outputs}
    return _largest(what, actual, expected, manifest)


def _largest(what: str, actual: Tensors, expected: Tensors, manifest: Manifest) -> float:
    return max(
        compare(what, actual[spec.name], expected[spec.name], spec, manifest.labels, manifest.tolerance)
        for spec in manifest.outputs
    )


def compare(
    export: str,
    actual: NDArray[Any],
    expected: NDArray[Any],
    spec: TensorSpec,
    labels: tuple[str, ...],
    tolerance: float,
) -> float:
    """Compare an output (n, *shape) with the reference and return the largest absolute difference.

    What is not floating-point must be equal, and then differs by 0.

    Raises:
        ExportParityError: The type or shape differs, or a difference exceeds `tolerance` or is no number; names the
            worst.
    """
    if fault := spec.fault(actual):
        raise ExportParityError(f"{export} gives another output than declared: {fault}")
    if actual.shape != expected.shape:
        raise ExportParityError(f"{export} answers in shape {actual.shape}, the reference in {expected.shape}")
    if spec.is_float:
        difference = np.abs(actual.astype(np.float64) - expected)
        difference[np.isnan(difference)] = np.inf
    else:
        difference = np.where(actual == expected, 0.0, np.inf)
    place = tuple(int(i) for i in np.unravel_index(difference.argmax(), difference.shape))
    worst = float(difference[place])
    if worst > tolerance:
        element = f"class {labels[place[1]]}" if labels else f"{spec.name}{list(place[1:])}"
        values = [f"{array[place]:.9g}" if spec.is_float else str(array[place]) for array in (actual, expected)]
        off = f" (off by {worst:.3g}, allowed {tolerance:g})" if spec.is_float else ""
        raise ExportParityError(
            f"{export} differs from the reference: instance {place[0]}, {element}: "
            f"{values[0]} instead of {values[1]}{off}"
        )
    return worst
