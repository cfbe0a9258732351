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
    """Whether a model can be asked in a wire format."""
    return find_wire(wire).takes(artifact.manifest["inputs"])


def check_takes(wire: str, artifact: Artifact) -> None:
    """Know before a request is made that a model cannot be asked in a wire format.

    Raises:
        UsageError: If so; the text lists those in which it can be.
    """
    if not takes(wire, artifact):
        others = ", ".join(name for name in wire_names() if takes(name, artifact))
        raise UsageError(f"{artifact.workload} cannot be asked over {wire}, but over {others}")


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
