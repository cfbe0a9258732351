"""Parity of the exports: each must give the answers of the float64 reference."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import read_back
from models.artifact_manifest import Manifest
from models.errors import BrokenArtifactError, ExportParityError
from models.load_inputs import FILES, in_chunks
from models.workload import Forward


def check(folder: Path, manifest: Manifest) -> dict[str, float]:
    """Load every export of the artifact in `folder` and compare its answers with the golden outputs.

    Each is asked twice, all instances in one batch and one by one: the free batch size is part of the model. Then the
    inputs for load tests follow in batches, since a run with one wrong answer is invalid.

    Returns:
        Largest absolute difference per export.

    Raises:
        ExportParityError: An answer differs; names the export, the instance, the class and both values.
        ExportError: An export cannot be loaded.
        BrokenArtifactError: The golden files or the .mar cannot be read.
    """
    golden = [_array(folder, manifest.golden[key]) for key in ("inputs", "outputs")]
    inputs, expected = golden
    load = [_array(folder, manifest.load[key]) for key in FILES]
    with tempfile.TemporaryDirectory() as unpacked:
        read_back.unpack_mar(folder / "model_store" / f"{manifest.workload}.mar", Path(unpacked))
        version = folder / "saved_model" / str(manifest.version)
        exports: dict[str, Forward] = {
            "saved_model": read_back.saved_model(version, manifest.input, manifest.output),
            "torch": read_back.torch_form(folder / "torch"),
            "model_store": read_back.torch_form(Path(unpacked)),
        }
        worst = {}
        for name, forward in exports.items():
            one_by_one = np.concatenate([forward(inputs[i : i + 1]) for i in range(len(inputs))])
            answers = [
                (name, forward(inputs), expected),
                (f"{name}, one by one,", one_by_one, expected),
                *((f"{name}, load inputs,", in_chunks(forward, load[i]), load[i + 1]) for i in range(0, len(load), 2)),
            ]
            worst[name] = max(
                compare(what, actual, right, manifest.labels, manifest.tolerance) for what, actual, right in answers
            )
    return worst


def compare(
    export: str,
    actual: NDArray[np.float32],
    expected: NDArray[np.float64],
    labels: tuple[str, ...],
    tolerance: float,
) -> float:
    """Compare outputs (n, classes) with the reference and return the largest absolute difference.

    Raises:
        ExportParityError: The shape differs, or a difference exceeds `tolerance` or is no number; names the worst.
    """
    if actual.shape != expected.shape:
        raise ExportParityError(f"{export} answers in shape {actual.shape}, the reference in {expected.shape}")
    difference = np.abs(actual.astype(np.float64) - expected)
    difference[np.isnan(difference)] = np.inf
    instance, position = (int(i) for i in np.unravel_index(difference.argmax(), difference.shape))
    worst = float(difference[instance, position])
    if worst > tolerance:
        raise ExportParityError(
            f"{export} differs from the reference: instance {instance}, class {labels[position]}: "
            f"{actual[instance, position]:.9g} instead of {expected[instance, position]:.9g} "
            f"(off by {worst:.3g}, allowed {tolerance:g})"
        )
    return worst


def _array(folder: Path, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(folder / name, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BrokenArtifactError(f"{name} of {folder} cannot be read: {error}") from error
    return array
