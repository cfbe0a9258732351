"""Loads the PyTorch model that lies beside this file. Needs torch and nothing else; unpickles nothing.

    model = load(folder)                    # torch.nn.Module in eval mode
    with torch.inference_mode():
        outputs = model(inputs)             # (batch, *input shape) float32 -> (batch, *output shape) float32

`network.py` holds the function `network()` that builds the module, `weights.safetensors` its parameters.
"""

import importlib.util
import json
import struct
from pathlib import Path

import torch
from torch import nn


def load(folder: str | Path) -> nn.Module:
    """Builds the network in `folder`, fills in its weights and returns it ready to answer.

    Args:
        folder: directory with network.py and weights.safetensors.

    Raises:
        FileNotFoundError: one of the two is missing.
        ValueError: the weights file is damaged or holds something else than float32.
        RuntimeError: the names or shapes of the weights are not those of the network.
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
    """Reads a safetensors file: 8 bytes header length (little endian), JSON header, raw values.

    The format is the one documented by the safetensors project; only its float32 tensors are taken.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or holds something else than float32.
    """
    content = bytearray(path.read_bytes())
    length = struct.unpack_from("<Q", content)[0] if len(content) >= 8 else 0
    if not 0 < length <= len(content) - 8:
        raise ValueError(f"{path.name} is not a safetensors file, or is cut short")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    weights = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path.name}: {name} is {entry['dtype']}, expected F32")
        begin, end = entry["data_offsets"]
        raw = torch.frombuffer(content, dtype=torch.uint8, count=end - begin, offset=8 + length + begin)
        # Copied, because a value in the middle of the buffer may not be aligned for float32.
        weights[name] = raw.clone().view(torch.float32).reshape(entry["shape"])
    return weights
