"""Which Python has the exporters: this one, or that of the virtual environment made for them."""

import importlib.util
import sys
from pathlib import Path

from devices.errors import DevicesError

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ai_edge_litert", "executorch", "litert_torch", "onnx", "onnxruntime", "onnxscript")
VENV = ".venv-devices"


def python(root: Path = ROOT) -> Path:
    """The Python that takes the steps.

    Args:
        root: The repository, where the virtual environment may lie.

    Raises:
        DevicesError: Neither has the packages.
    """
    if all(importlib.util.find_spec(name) for name in PACKAGES):
        return Path(sys.executable)
    other = root / VENV / "bin" / "python"
    if other.exists():
        return other
    raise DevicesError(f"the exporters are not installed: scripts/devices makes {VENV} with them (4 GB)")
