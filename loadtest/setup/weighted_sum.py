"""A weighted sum, with the reader's weights and nobody else's.

There is no score without a file of weights, and none with one either: the sum is printed with every weight and every
value in it. A capability counts 1 or 0; a figure counts as it is, in the unit that its name ends in, so that a weight
of -1 on ``first_correct_s`` takes a point off for every second. What is not known counts nothing and is named.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.errors import UsageError
from loadtest.setup.probes.capability import CAPABILITIES

MIB = 1024 * 1024


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
    known = {"capabilities": set(CAPABILITIES), "figures": set(figures({}))}
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


def figures(server: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures of a server that can be weighed, by name; None where one is not known.

    Args:
        server: Its part of the document; an empty one gives the names.
    """

    def at(*keys: str) -> Any:
        value: Any = server
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def size(value: Any) -> Any:
        return None if value is None else len(value)

    def mib(value: Any) -> Any:
        return None if value is None else value / MIB

    return {
        "first_correct_s": at("timeline", "warm", "median"),
        "cold_s": at("timeline", "cold", "seconds"),
        "packages": at("size", "packages", "count"),
        "packages_mib": mib(at("size", "packages", "bytes")),
        "program_mib": mib(at("size", "program", "bytes")),
        "artifact_mib": mib(at("size", "artifact", "bytes")),
        "image_mib": mib(at("size", "image", "bytes")),
        "files_written": size(at("written", "files")),
        "lines_written": at("written", "lines"),
        "keys_set": at("written", "keys_set"),
        "keys_changed": at("written", "keys_changed"),
        "commands": size(at("written", "commands")),
        "processes": at("moving_parts", "processes"),
        "threads": at("moving_parts", "threads"),
        "ports": size(at("moving_parts", "ports")),
        "languages": size(at("moving_parts", "languages")),
        "idle_mib": at("moving_parts", "resident_mib"),
    }


def weigh(document: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, Any]:
    """Add up what the reader has weighed.

    Args:
        document: The document of `loadtest.setup.setup_file`.
        weights: Weight by name.

    Returns:
        The weights, and for each server the sum, its parts (value times weight, by name) and what is not known.
    """
    servers = {}
    for key, server in document["servers"].items():
        values = {f"figures.{name}": value for name, value in figures(server).items()}
        for cell in server["capabilities"]:
            supported = cell["supported"]
            values[f"capabilities.{cell['capability']}"] = None if supported is None else float(supported)
        parts = {
            name: {"value": round(value, 3), "weight": weight, "product": round(value * weight, 3)}
            for name, weight in weights.items()
            if (value := values.get(name)) is not None
        }
        servers[key] = {
            "sum": round(sum(part["product"] for part in parts.values()), 3),
            "parts": parts,
            "unknown": [name for name in weights if name not in parts],
        }
    return {"weights": dict(weights), "servers": servers}
