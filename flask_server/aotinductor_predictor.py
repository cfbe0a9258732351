"""The forward pass as machine code: the artifact's forms/aotinductor/, which needs no compiler."""

from typing import Any

import torch

from flask_server.predict_body import Tensors
from flask_server.predictor import BuiltModel


class AotInductorPredictor:
    """The shared library in the artifact, which PyTorch's AOTInductor made from the network and its weights."""

    def __init__(self, artifact: BuiltModel, threads: int) -> None:
        torch.set_num_threads(threads)
        package = artifact.folder / "forms" / "aotinductor" / "model.pt2"
        self._run = torch._inductor.aoti_load_package(str(package))
        self._inputs, self._outputs = (
            [spec.name for spec in side] for side in (artifact.interface.inputs, artifact.interface.outputs)
        )

    def predict(self, inputs: Tensors) -> Tensors:
        """See Predictor."""
        with torch.inference_mode():
            returned = self._run(*(torch.from_numpy(inputs[name]) for name in self._inputs))
        values = returned if isinstance(returned, (list, tuple)) else [returned]
        return {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}

    def describe(self) -> dict[str, Any]:
        """See Predictor."""
        return {
            "name": "torch",
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "form": "aotinductor",
        }
