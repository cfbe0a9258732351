"""The framework-neutral weights file: float32 tensors in the safetensors format, without pickle."""

from pathlib import Path

import numpy as np

from models.errors import BrokenArtifactError, ExportError
from models.workload import Weights


def write(path: Path, weights: Weights) -> None:
    """Write `weights` to `path`; the same values always give the same bytes.

    Raises:
        ExportError: A tensor is not float32, or not finite.
    """
    from safetensors.numpy import save

    for name, value in weights.items():
        if value.dtype != np.float32:
            raise ExportError(f"weight {name} is {value.dtype}; only float32 is exported")
        if not np.isfinite(value).all():
            raise ExportError(f"weight {name} holds NaN or infinity: the training diverged")
    # Not save_file: that makes a file only its owner may read, and servers run as somebody else.
    path.write_bytes(save({name: np.ascontiguousarray(weights[name]) for name in sorted(weights)}))


def read(path: Path) -> Weights:
    """Read what `write` wrote.

    Raises:
        BrokenArtifactError: The file is missing or not in the safetensors format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors: Weights = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise BrokenArtifactError(f"{path.name} cannot be read: {error}") from error
    return tensors
