"""Runs an ONNX file by ONNX Runtime, on one thread."""

from pathlib import Path

from models.artifact_manifest import Manifest
from models.examples import Forward
from models.tensors import Tensors


def load(file: Path, manifest: Manifest) -> Forward:
    """The file as a forward pass over arrays by their names."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [spec.name for spec in manifest.outputs]

    def forward(tensors: Tensors) -> Tensors:
        return dict(zip(names, session.run(names, dict(tensors)), strict=True))

    return forward
