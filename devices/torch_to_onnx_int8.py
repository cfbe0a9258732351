"""PyTorch to ONNX in 8-bit integers, by ONNX Runtime's quantiser."""

import tempfile
from pathlib import Path

from devices import torch_to_onnx
from devices.source import Source


def export(source: Source, file: Path) -> None:
    """Quantise the ONNX export: by the ranges of the calibration, or of tokens' activations while the model runs."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static

    class Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
        def __init__(self) -> None:
            self.examples = iter(source.calibration)

        def get_next(self) -> object:
            return next(self.examples, None)

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "float.onnx"
        torch_to_onnx.export(source, whole)
        if source.takes_tokens:
            quantize_dynamic(whole, file)
        else:
            quantize_static(whole, file, Calibration(), per_channel=True)
