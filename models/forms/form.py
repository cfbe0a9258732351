"""What a form is: one way in which a framework runs a model, made once as files and loaded from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from models.examples import Forward
from models.tensors import Tensors, TensorSpec


@dataclass(frozen=True)
class Source:
    """A model as Python code of one framework, from which every form of that framework is made.

    Attributes:
        module: Makes the model with its weights: an `nn.Module` in eval mode, or a `tf.Module` to be called.
        inputs: Its inputs, in the order of its arguments.
        outputs: Its outputs, in the order in which they are returned.
        example: Two instances, for the forms that watch the model run once.
        files: What the code needs on disk: its own file and the weights.
    """

    module: Callable[[], Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    example: Tensors
    files: tuple[Path, ...] = ()


class Form(Protocol):
    """One way to run a model.

    Attributes:
        name: What it is called on the command line.
        title: What it is called in a table.
        framework: ``torch`` or ``tensorflow``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    framework: ClassVar[str]

    def build(self, source: Source, folder: Path) -> None:
        """Write what is to be deployed into the empty `folder`. May raise whatever the framework raises."""

    def load(self, source: Source, folder: Path) -> Forward:
        """Load what `build` wrote. Only forms that are Python code make the module of `source` again."""


def told(error: BaseException) -> str:
    """An error in one line: its class and the beginning of what it says, with the reasons that are listed below it."""
    first, *others = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # torch.export says first that something is wrong and what it is in a list.
    reasons = [line for line in others if line.startswith("- ")]
    return f"{type(error).__name__}: {' '.join([first[:200], *reasons])[:400]}"
