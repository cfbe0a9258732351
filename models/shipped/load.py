"""Load the PyTorch model that lies beside this file. Needs torch and safetensors, and uses no pickle.

    model = load(folder)                    # torch.nn.Module in eval mode
    with torch.inference_mode():
        outputs = model(inputs)             # (batch, *input shape) float32 -> (batch, *output shape) float32

`network.py` holds the function `network()` that builds the module, `weights.safetensors` its parameters.
"""

import importlib.util
from pathlib import Path

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
