"""Load the PyTorch model that lies beside this file. Needs torch and safetensors, and uses no pickle.

    model = load(folder)                    # torch.nn.Module in eval mode
    with torch.inference_mode():
        outputs = model(*inputs)            # tensors (batch, *shape), in the order of workload.json

    predict = load_predictor(folder)        # the same with NumPy arrays by their names
    outputs = predict(inputs)

`network.py` holds the function `network()` that builds the module, `weights.safetensors` its parameters.
"""

import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn


def load(folder: str | Path) -> nn.Module:
    """Build the network in `folder`, fill in its weights and return it ready to answer.

    Args:
        folder: Directory with network.py and weights.safetensors.

    Raises:
        FileNotFoundError: One of the two is missing.
        ValueError: The weights file is damaged or holds something else than float32.
        RuntimeError: The names or shapes of the weights are not those of the network.
    """
    folder = Path(folder)
    spec = importlib.util.spec_from_file_location("network", folder / "network.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder / "network.py")
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    model: nn.Module = source.network()
    model.load_state_dict(read_weights(folder / "weights.safetensors"))
    return model.eval().requires_grad_(False)


def load_predictor(
    folder: str | Path, prepare: Callable[[nn.Module], Callable[..., Any]] | None = None
) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """Load the model as a function from inputs to outputs, NumPy arrays (batch, *shape) by the names of workload.json.

    Args:
        folder: As for `load`.
        prepare: Makes of the module what is called in its place, such as `torch.compile`.

    Raises:
        FileNotFoundError, ValueError, RuntimeError: As `load`.
    """
    # An array may be a view of a request's body, which cannot be written to; nothing here writes to its inputs.
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")
    model = prepare(load(folder)) if prepare else load(folder)
    interface = json.loads((Path(folder) / "workload.json").read_text())
    inputs, outputs = ([tensor["name"] for tensor in interface[side]] for side in ("inputs", "outputs"))

    def predict(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            returned = model(*(to_torch(given[name]) for name in inputs))
        values = returned if isinstance(returned, tuple) else (returned,)
        return {name: to_numpy(value) for name, value in zip(outputs, values, strict=True)}

    return predict


def to_torch(array: np.ndarray) -> Any:
    """A tensor that shares the array's memory; text, which PyTorch has no tensors of, as (nested) lists of `str`."""
    return array.tolist() if array.dtype.kind == "U" else torch.from_numpy(array)


def to_numpy(value: Any) -> np.ndarray:
    """The array of a tensor, or of (nested) lists of `str`."""
    return value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the float32 tensors of a safetensors file by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or holds something else than float32.
    """
    try:
        weights: dict[str, torch.Tensor] = safetensors.torch.load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a safetensors file, or is damaged: {error}") from error
    for name, value in weights.items():
        if value.dtype != torch.float32:
            raise ValueError(f"{path.name}: {name} is {value.dtype}, expected torch.float32")
    return weights
