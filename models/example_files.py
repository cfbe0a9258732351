"""How an artifact keeps examples and the right answers to them: one .npy file for each array, without pickle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import BrokenArtifactError
from models.examples import Examples
from models.tensors import Tensors

KINDS = ("golden", "load", "fresh")
"""The sets of examples."""


@dataclass(frozen=True)
class ExampleFiles:
    """Where the arrays of a set of examples lie, as paths relative to the artifact.

    Attributes:
        inputs: By name of the input; (n, *shape).
        outputs: By name of the output; (n, *shape), floating-point ones in float64.
        labels: The true classes, (n,) int64; None where there are no classes.
        lengths: How much of the dimension that varies belongs to each example, (n,) int64; None where none varies.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    labels: str | None = None
    lengths: str | None = None

    @property
    def paths(self) -> list[str]:
        """All of them."""
        optional = [path for path in (self.labels, self.lengths) if path is not None]
        return [*self.inputs.values(), *self.outputs.values(), *optional]


@dataclass(frozen=True)
class PictureFiles:
    """The sets of examples of one format of picture; an input is an array (n,) of files.

    NumPy fills shorter ones up with zeros. Neither a PNG nor a JPEG file ends with a zero, so that each is read as it
    was written.

    Attributes:
        golden: The few that every server must answer like the reference.
        load: Those that load tests send.
        fresh: Further ones, sent by no ordinary run.
    """

    golden: ExampleFiles
    load: ExampleFiles
    fresh: ExampleFiles

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "PictureFiles":
        """Read an entry of the manifest.

        Raises:
            KeyError, TypeError: It is none.
        """
        return cls(**{kind: ExampleFiles(**files) for kind, files in content.items()})


def write(artifact: Path, kind: str, examples: Examples, outputs: Tensors) -> ExampleFiles:
    """Write examples and the right answers to them into the folder `kind` of an artifact."""

    def save(name: str, array: NDArray[Any]) -> str:
        path = artifact / kind / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array, allow_pickle=False)
        return path.relative_to(artifact).as_posix()

    return ExampleFiles(
        inputs={name: save(f"inputs/{name}", array) for name, array in examples.inputs.items()},
        outputs={name: save(f"outputs/{name}", array) for name, array in outputs.items()},
        labels=None if examples.labels is None else save("labels", examples.labels),
        lengths=None if examples.lengths is None else save("lengths", examples.lengths),
    )


def read(artifact: Path, files: ExampleFiles) -> tuple[Examples, Tensors]:
    """Read examples and the right answers to them.

    Raises:
        BrokenArtifactError: A file is missing or cannot be read.
    """

    def load(name: str) -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.load(artifact / name, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BrokenArtifactError(f"{name} of {artifact} cannot be read: {error}") from error
        return array

    labels, lengths = (None if name is None else load(name) for name in (files.labels, files.lengths))
    examples = Examples({name: load(path) for name, path in files.inputs.items()}, labels, lengths)
    return examples, {name: load(path) for name, path in files.outputs.items()}
