"""The wire formats, one module each, which holds a `Wire` named ``WIRE``; its name has dashes for underscores.

A new one takes its module, and in the ``[wires]`` of each server that speaks it one line.
"""

import functools
import importlib
import pkgutil

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.wire.wire_format import Wire


def wire_names() -> list[str]:
    """The names of all of them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def takes(wire: str, artifact: Artifact) -> bool:
    """Whether a model can be asked in a wire format.

    Raises:
        UsageError: If there is no such format.
    """
    return find_wire(wire).takes(artifact.manifest["inputs"])


def asked_over(wire: str, artifact: Artifact) -> Artifact:
    """A model with the examples that a wire format carries: its tensors, or the pictures that were made of them.

    Raises:
        UsageError: If there is no such format, or the model takes no pictures.
    """
    return artifact.carried_as(find_wire(wire).carries)


def check_takes(wire: str, artifact: Artifact, batch: int = 1) -> None:
    """Know before a request is made that a model cannot be asked in a wire format.

    Args:
        wire: Name of the wire format.
        artifact: The model.
        batch: Instances in one request.

    Raises:
        UsageError: If it cannot be; the text lists the formats in which it can be, or says how many instances a request
            may hold.
    """
    if not takes(wire, artifact):
        others = ", ".join(name for name in wire_names() if takes(name, artifact))
        raise UsageError(f"{artifact.workload} cannot be asked over {wire}, but over {others}")
    most = find_wire(wire).most
    if most is not None and batch > most:
        raise UsageError(
            f"a request over {wire} holds one picture, not {batch}: take a batch of 1, or leave {wire} out"
        )


@functools.cache
def find_wire(name: str) -> Wire:
    """The wire format of this name.

    Raises:
        UsageError: If there is none; the text lists them.
    """
    if name not in wire_names():
        raise UsageError(f"no wire format {name!r}; there are: {', '.join(wire_names())}")
    wire = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").WIRE
    assert isinstance(wire, Wire)
    return wire
