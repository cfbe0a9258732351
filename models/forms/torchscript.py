"""TorchScript, traced and scripted: what older guides recommend, and torch has deprecated."""

from pathlib import Path
from typing import ClassVar

from models.examples import Forward
from models.forms.calling import over_torch
from models.forms.form import Source

FILE = "model.pt"


def _load(source: Source, folder: Path) -> Forward:
    import torch

    return over_torch(torch.jit.load(str(folder / FILE)), source)  # type: ignore[no-untyped-call]  # torch's own


class TorchScriptTraced:
    """The operations that one example went through."""

    name: ClassVar[str] = "traced"
    title: ClassVar[str] = "TorchScript, traced (deprecated)"
    framework: ClassVar[str] = "torch"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        import torch

        from models.shipped.load import to_torch

        example = tuple(to_torch(source.example[spec.name]) for spec in source.inputs)
        # check_trace runs the same example again, which cannot find a branch that it does not take.
        traced = torch.jit.trace(source.module(), example, check_trace=False)  # type: ignore[no-untyped-call]
        traced.save(str(folder / FILE))

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        return _load(source, folder)


class TorchScriptScripted:
    """The code of the model, translated with its branches and loops."""

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "TorchScript, scripted (deprecated)"
    framework: ClassVar[str] = "torch"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        import torch

        torch.jit.script(source.module()).save(str(folder / FILE))

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        return _load(source, folder)
