"""Runs a .tflite file by LiteRT, on one thread."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.source import filled_up
from models.artifact_manifest import Manifest
from models.examples import Forward
from models.tensors import Tensors


def load(file: Path, manifest: Manifest) -> Forward:
    """The file as a forward pass over arrays by their names; shorter instances are filled up to the one length."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=1)
    runner = interpreter.get_signature_runner()
    sides = (runner.get_input_details(), manifest.inputs), (runner.get_output_details(), manifest.outputs)
    inputs, outputs = ([(spec.name, *_of(spec.name, at, details)) for at, spec in enumerate(s)] for details, s in sides)

    def forward(tensors: Tensors) -> Tensors:
        whole = filled_up(tensors, manifest.inputs)
        answered = runner(**{there: _stored(whole[name], detail) for name, there, detail in inputs})
        return {name: _plain(answered[there], detail) for name, there, detail in outputs}

    return forward


def _of(name: str, position: int, details: dict[str, Any]) -> tuple[str, Any]:
    """A tensor of the file: by its name, or where the converter dropped names (args_0, output_0) by its position."""
    there = name if name in details else next(one for one in details if one.endswith(f"_{position}"))
    return there, details[there]


def _stored(array: NDArray[Any], detail: Any) -> NDArray[Any]:
    """The array in the file's element type, which is int32 for PyTorch's int64; quantised where that has a scale."""
    scale, zero = detail["quantization"]
    if not scale:
        return array.astype(detail["dtype"], copy=False)
    limits = np.iinfo(detail["dtype"])
    stored: NDArray[Any] = np.clip(np.round(array / scale) + zero, limits.min, limits.max).astype(detail["dtype"])
    return stored


def _plain(array: NDArray[Any], detail: Any) -> NDArray[Any]:
    """The numbers that a quantised array stands for."""
    scale, zero = detail["quantization"]
    return (array.astype(np.float32) - zero) * np.float32(scale) if scale else array
