"""The forward pass under torch.compile: the artifact's torch/ folder, compiled when the server starts."""

from typing import Any

import numpy as np
import torch

from flask_server.predictor import BuiltModel
from flask_server.torch_predictor import TorchPredictor

WARMUP_BATCHES = (2, 3)
"""After two sizes torch compiles for any size; for one instance it compiles apart, at the server's first call."""


class CompiledPredictor(TorchPredictor):
    """Takes the time of the compiler at the start, so that no request waits for it."""

    prepare = staticmethod(torch.compile)

    def __init__(self, artifact: BuiltModel, threads: int) -> None:
        super().__init__(artifact, threads)
        for size in WARMUP_BATCHES:
            self.predict({name: np.repeat(one, size, 0) for name, one in artifact.interface.smallest().items()})

    def describe(self) -> dict[str, Any]:
        """See Predictor."""
        return {**super().describe(), "form": "compiled"}
