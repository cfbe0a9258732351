"""AOTInductor: the graph of torch.export as machine code in a .pt2 file, compiled before it is deployed."""

import warnings
from pathlib import Path
from typing import ClassVar

from models.examples import Forward
from models.forms import torch_exported
from models.forms.calling import over_torch
from models.forms.cpp_compiler import naming_the_compiler
from models.forms.form import Source


class TorchAotInductor:
    """A shared library with the weights, loaded without the code of the model."""

    name: ClassVar[str] = "aotinductor"
    title: ClassVar[str] = "AOTInductor"
    framework: ClassVar[str] = "torch"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        import torch

        program = torch_exported.program(source)
        with naming_the_compiler("AOTInductor", "where the model is built"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch._inductor.aoti_compile_and_package(program, package_path=str(folder / torch_exported.FILE))

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        import torch

        return over_torch(torch._inductor.aoti_load_package(str(folder / torch_exported.FILE)), source)
