"""torch.compile: the module's code on disk, compiled by the process that serves it, at its first calls."""

from pathlib import Path
from typing import ClassVar

from models.examples import Forward
from models.forms.calling import over_torch
from models.forms.cpp_compiler import naming_the_compiler
from models.forms.form import Source
from models.forms.torch_eager import TorchEager
from models.tensors import Tensors


class TorchCompiled(TorchEager):
    """The module behind `torch.compile`, with its defaults."""

    name: ClassVar[str] = "compiled"
    title: ClassVar[str] = "torch.compile"

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        import torch

        forward = over_torch(torch.compile(source.module()), source)

        def compiled(tensors: Tensors) -> Tensors:
            with naming_the_compiler("torch.compile", "where the model runs"):
                return forward(tensors)

        return compiled
