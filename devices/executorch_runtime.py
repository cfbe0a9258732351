"""Runs a .pte file by ExecuTorch, on one thread."""

from pathlib import Path

from models.artifact_manifest import Manifest
from models.examples import Forward
from models.tensors import Tensors


def load(file: Path, manifest: Manifest) -> Forward:
    """The file as a forward pass over arrays by their names."""
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime

    _unsafe_reset_threadpool(1)
    method = Runtime.get().load_program(file).load_method("forward")

    def forward(tensors: Tensors) -> Tensors:
        returned = method.execute([torch.from_numpy(tensors[spec.name]) for spec in manifest.inputs])
        return {spec.name: value.numpy() for spec, value in zip(manifest.outputs, returned, strict=True)}

    return forward
