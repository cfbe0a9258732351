"""PyTorch's eager mode: the module is called, and its Python code runs on every call."""

from pathlib import Path
from typing import ClassVar

from models.examples import Forward
from models.forms.calling import copy_files, over_torch
from models.forms.form import Source


class TorchEager:
    """The module itself, its code and weights on disk."""

    name: ClassVar[str] = "eager"
    title: ClassVar[str] = "PyTorch eager"
    framework: ClassVar[str] = "torch"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        copy_files(source, folder)

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        return over_torch(source.module(), source)
