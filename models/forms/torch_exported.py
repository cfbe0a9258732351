"""torch.export: one graph of the whole model, traced with symbols for the sizes that vary, in a .pt2 file."""

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any, ClassVar

from models.examples import Forward
from models.forms.calling import over_torch
from models.forms.form import Source

FILE = "model.pt2"


def program(source: Source) -> Any:
    """Export the model with a free batch size and free lengths; torch raises where it cannot.

    Returns:
        A `torch.export.ExportedProgram`.
    """
    import torch

    from models.shipped.load import to_torch

    batch = torch.export.Dim("batch")
    varying = next((spec.lengths for spec in source.inputs if spec.lengths), None)
    length = torch.export.Dim("length", min=varying[0], max=varying[1]) if varying else None
    shapes = tuple({0: batch} | ({spec.axis: length} if spec.axis and length else {}) for spec in source.inputs)
    example = tuple(to_torch(source.example[spec.name]) for spec in source.inputs)
    # What torch cannot export it raises; besides, it would log it and print the whole graph.
    torch._logging.set_logs(all=logging.CRITICAL)  # type: ignore[attr-defined]  # documented, but not in __all__
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return torch.export.export(source.module(), example, dynamic_shapes=shapes)


class TorchExported:
    """The exported graph, run by PyTorch's interpreter of such graphs."""

    name: ClassVar[str] = "exported"
    title: ClassVar[str] = "torch.export"
    framework: ClassVar[str] = "torch"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        import torch

        torch.export.save(program(source), folder / FILE)

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        import torch

        return over_torch(torch.export.load(folder / FILE).module(), source)
