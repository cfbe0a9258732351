"""A weighted sum, with the reader's weights and nobody else's.

There is no score without a file of weights, and none with one either: the sum is printed with every weight and every
value in it. A capability counts 1 or 0; a figure counts as it is, in the unit that its name ends in, so that a weight
of -1 on ``first_correct_s`` takes a point off for every second. What is not known counts nothing and is named.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from loadtest.errors import UsageError
from loadtest.setup.idle_processes import IdleProcesses
from loadtest.setup.installed_packages import InstalledPackages
from loadtest.setup.probes.capability import CAPABILITIES
from loadtest.setup.server_setup import ServerSetup
from loadtest.setup.start_times import WarmStarts
from loadtest.setup.written_files import for_json

MIB = 1024 * 1024
Part = TypeVar("Part")
Figure = Callable[[ServerSetup], float | None]


@dataclass(frozen=True)
class WeightedPart:
    """One value, its weight, and their product."""

    value: float
    weight: float
    product: float


@dataclass(frozen=True)
class WeightedServer:
    """The weighted sum of one server.

    Attributes:
        sum: Of what is known.
        parts: Value times weight, by name.
        unknown: Names of what is not known.
    """

    sum: float
    parts: dict[str, WeightedPart]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class WeightedSums:
    """What the reader has weighed.

    Attributes:
        weights: Weight by name, such as ``capabilities.grpc`` or ``figures.first_correct_s``.
        servers: The sum of each server by its key.
    """

    weights: dict[str, float]
    servers: dict[str, WeightedServer]


def read_weights(path: Path) -> dict[str, float]:
    """Read a file of weights: TOML with the tables ``[capabilities]`` and ``[figures]``.

    Returns:
        Weight by name, such as ``capabilities.grpc`` or ``figures.first_correct_s``.

    Raises:
        UsageError: If it cannot be read, or names what there is not.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the weights cannot be read from {path}: {error}") from error
    known = {"capabilities": set(CAPABILITIES), "figures": set(FIGURES)}
    weights = {}
    for table, entries in tables.items():
        if table not in known or not isinstance(entries, dict):
            raise UsageError(f"{path}: there is no [{table}]; the tables are [capabilities] and [figures]")
        for name, weight in entries.items():
            if name not in known[table]:
                raise UsageError(f"{path}: [{table}] has no {name!r}; there are: {', '.join(sorted(known[table]))}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) < 1e9:
                raise UsageError(f"{path}: the weight of {name} must be a number, not {weight!r}")
            weights[f"{table}.{name}"] = float(weight)
    if not weights:
        raise UsageError(f"{path} holds no weights: write [capabilities] or [figures] with name = number")
    return weights


def _known(part: Callable[[ServerSetup], Part | None], figure: Callable[[Part], float]) -> Figure:
    """The figure of a part of a server that may not be known."""

    def read(server: ServerSetup) -> float | None:
        known = part(server)
        return None if known is None else figure(known)

    return read


def _warm(server: ServerSetup) -> WarmStarts | None:
    return server.timeline.warm


def _packages(server: ServerSetup) -> InstalledPackages | None:
    """None of a stand-in too: they are not what one installs to have the server it stands for."""
    return None if server.stands_in_for else server.size.packages


def _image_bytes(server: ServerSetup) -> int | None:
    return server.size.image.bytes if server.size.image else None


def _idle(server: ServerSetup) -> IdleProcesses | None:
    return server.idle_processes


FIGURES: Mapping[str, Figure] = {
    "first_correct_s": _known(_warm, lambda warm: warm.median),
    "cold_s": _known(lambda server: server.timeline.cold, lambda cold: cold.seconds),
    "packages": _known(_packages, lambda packages: packages.count),
    "packages_mib": _known(_packages, lambda packages: packages.bytes / MIB),
    "program_mib": _known(lambda server: server.size.program, lambda program: program.bytes / MIB),
    "artifact_mib": lambda server: server.size.artifact.bytes / MIB,
    "image_mib": _known(_image_bytes, lambda size: size / MIB),
    "files_written": lambda server: len(for_json(server.written.files)),
    "lines_written": lambda server: server.written.lines,
    "keys_set": lambda server: server.written.keys_set,
    "keys_changed": lambda server: server.written.keys_changed,
    "commands": lambda server: len(server.written.commands),
    "processes": _known(_idle, lambda idle: idle.processes),
    "threads": _known(_idle, lambda idle: idle.threads),
    "ports": _known(_idle, lambda idle: len(idle.ports)),
    "languages": _known(_idle, lambda idle: len(idle.languages)),
    "idle_mib": _known(_idle, lambda idle: idle.resident_mib),
}
"""The figures of a server that can be weighed, by name; each gives None where it is not known."""


def weigh(servers: Mapping[str, ServerSetup], weights: Mapping[str, float]) -> WeightedSums:
    """Add up what the reader has weighed.

    Args:
        servers: What was found of each server, by its key.
        weights: Weight by name.
    """
    return WeightedSums(dict(weights), {key: _weighted(server, weights) for key, server in servers.items()})


def _weighted(server: ServerSetup, weights: Mapping[str, float]) -> WeightedServer:
    values = {f"figures.{name}": figure(server) for name, figure in FIGURES.items()}
    for cell in server.capabilities:
        values[f"capabilities.{cell.capability}"] = None if cell.supported is None else float(cell.supported)
    parts = {
        name: WeightedPart(round(value, 3), weight, round(value * weight, 3))
        for name, weight in weights.items()
        if (value := values.get(name)) is not None
    }
    return WeightedServer(
        sum=round(sum(part.product for part in parts.values()), 3),
        parts=parts,
        unknown=tuple(name for name in weights if name not in parts),
    )
