"""The forward pass under PyTorch: the artifact's torch/ folder, through the loader that it brings."""

import importlib.util
from collections.abc import Callable
from typing import Any, ClassVar

import torch

from flask_server.predict_body import Tensors
from flask_server.predictor import BuiltModel


class TorchPredictor:
    """The artifact's torch/ folder, through the loader that it brings."""

    prepare: ClassVar[Callable[..., Any] | None] = None
    """What makes of the module that which is called in its place."""

    def __init__(self, artifact: BuiltModel, threads: int) -> None:
        torch.set_num_threads(threads)
        folder = artifact.folder / "torch"
        spec = importlib.util.spec_from_file_location("artifact_load", folder / "load.py")
        assert spec is not None  # a path that ends in .py always has a loader
        assert spec.loader is not None
        loader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loader)
        self._forward: Callable[[Tensors], Tensors] = loader.load_predictor(folder, self.prepare)

    def predict(self, inputs: Tensors) -> Tensors:
        """See Predictor."""
        return self._forward(inputs)

    def describe(self) -> dict[str, Any]:
        """See Predictor."""
        return {"name": "torch", "version": torch.__version__, "threads": torch.get_num_threads()}
