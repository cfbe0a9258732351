"""The keys that a configuration file sets, in the formats that the servers read."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from loadtest.errors import UsageError

Setting = tuple[str, str]
"""A key, nested keys joined by dots, and its value as it is written."""

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}<>\[\]:,;]|[^\s{}<>\[\]:,;"'#]+""")


def read_settings(path: Path) -> list[Setting] | None:
    """Read what a configuration file sets.

    Args:
        path: Java properties, protobuf text format (``.config``, ``.pbtxt``), TOML or JSON, told by the suffix.

    Returns:
        Its settings in their order, a repeated one once each time; None where the format has no keys or is not known.

    Raises:
        UsageError: If it cannot be read.
    """
    readers: dict[str, Callable[[str], Iterator[Setting]]] = {
        ".properties": _properties,
        ".config": _text_proto,
        ".pbtxt": _text_proto,
        ".toml": lambda text: _flat("", tomllib.loads(text)),
        ".json": lambda text: _flat("", json.loads(text)),
    }
    reader = readers.get(path.suffix)
    if reader is None:
        return None
    try:
        return list(reader(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a configuration file: {error}") from error


def _properties(text: str) -> Iterator[Setting]:
    """Java properties, without escapes in keys: ``key=value``, ``key: value``; a backslash continues a line."""
    joined = re.sub(r"\\\r?\n\s*", "", text)
    for line in joined.splitlines():
        stripped = line.strip()
        if stripped and stripped[0] not in "#!":
            key, _, value = re.sub(r"\s*[=:\s]\s*", "=", stripped, count=1).partition("=")
            yield key, value


def _text_proto(text: str) -> Iterator[Setting]:
    """Protobuf text format: scalars ``name: value``, messages ``name { … }``."""
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith("#") and token not in ",;"]
    path: list[str] = []
    position = 0
    while position < len(tokens):
        name = tokens[position]
        position += 1
        if name in "}>":
            if not path:
                raise ValueError("a closing brace too many")
            path.pop()
            continue
        if tokens[position : position + 1] == [":"]:
            position += 1
        if position == len(tokens) or tokens[position] in "}>]:":
            raise ValueError(f"{name} has no value")
        value = tokens[position]
        position += 1
        if value in "{<":
            path.append(name)
        elif value == "[":
            end = tokens.index("]", position)
            yield ".".join([*path, name]), " ".join(tokens[position:end])
            position = end + 1
        else:
            yield ".".join([*path, name]), value.strip("\"'")
    if path:
        raise ValueError(f"{'.'.join(path)} is not closed")


def _flat(prefix: str, value: object) -> Iterator[Setting]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for inner in value:
            yield from _flat(prefix, inner)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, default=str)
