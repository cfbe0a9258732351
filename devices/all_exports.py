"""Every export, in the order of the tables, and how some of them are chosen."""

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

from devices.errors import DevicesError
from devices.source import Source
from loadtest.servers.exported_model import INT8
from models.artifact_manifest import Manifest
from models.examples import Forward

WEB, QUANTISED = "_web", ", int8"


@dataclass(frozen=True)
class Export:
    """One road from a built model to a device.

    Attributes:
        name: What it is called on the command line; a quantised one has the name of the other one with `INT8`.
        title: What it is called in a table.
        framework: Where it comes from: ``torch`` or ``tensorflow``.
        exporter: Module of this package with `export(source, file)`.
        runtime: Module of this package with `load(file, manifest)`, which needs nothing of the exporter.
        suffix: Of its file.
        lengths: Which lengths of an input it takes, where they vary.
        page: Module of ``in_browser/`` that runs the file in a browser; empty where none does.
    """

    name: str
    title: str
    framework: str
    exporter: str
    runtime: str
    suffix: str
    lengths: str
    page: str = ""

    @property
    def in_browser(self) -> str:
        """What the same file in a browser is called: ``onnx_web``, ``onnx_web_int8``."""
        return self.name.removesuffix(INT8) + WEB + (INT8 if self.is_int8 else "")

    @property
    def is_int8(self) -> bool:
        """Whether it computes in 8-bit integers, so that its answers may differ."""
        return self.name.endswith(INT8)

    def export(self, source: Source, file: Path) -> None:
        """Write the file; raises whatever the exporter raises."""
        importlib.import_module(f"devices.{self.exporter}").export(source, file)

    def load(self, file: Path, manifest: Manifest) -> Forward:
        """Load the file; raises whatever the runtime raises."""
        forward: Forward = importlib.import_module(f"devices.{self.runtime}").load(file, manifest)
        return forward


FREE, ONE = "any", "filled up"
LITERT = "litert_runtime"
ORT, LITERT_JS = "onnx_runtime_web", "litert_js"


def _and_int8(whole: Export) -> tuple[Export, Export]:
    """An export, and the one of the same road in 8-bit integers."""
    name, title, exporter = whole.name + INT8, whole.title + QUANTISED, whole.exporter + INT8
    return whole, replace(whole, name=name, title=title, exporter=exporter)


_ROADS = (
    Export("onnx", "ONNX", "torch", "torch_to_onnx", "onnx_runtime", "onnx", FREE, ORT),
    Export("executorch", "ExecuTorch", "torch", "torch_to_executorch", "executorch_runtime", "pte", FREE),
    Export("litert_torch", "LiteRT (PyTorch)", "torch", "torch_to_litert", LITERT, "tflite", ONE, LITERT_JS),
    Export("litert_tf", "LiteRT (TensorFlow)", "tensorflow", "tensorflow_to_litert", LITERT, "tflite", ONE, LITERT_JS),
)
_ALL = [one for road in _ROADS for one in _and_int8(road)]
EXPORTS = {export.name: export for export in _ALL}
PAGES = {export.in_browser: export for export in _ALL if export.page}
"""Those that a browser runs too, by what they are called there."""


def select(names: str | None) -> list[Export]:
    """The exports named in a list with commas, each once; all of them without one.

    Raises:
        DevicesError: One is unknown; the message lists those there are.
    """
    if names is None:
        return list(EXPORTS.values())
    chosen = dict.fromkeys(name.strip() for name in names.split(","))
    for name in chosen:
        if name not in EXPORTS:
            raise DevicesError(f"unknown export {name!r}; known: {', '.join(EXPORTS)}")
    return [EXPORTS[name] for name in chosen]
