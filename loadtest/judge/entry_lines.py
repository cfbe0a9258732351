"""The lines of runs.jsonl as records, and records as lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from loadtest.judge.entries import Entry, Header
from loadtest.records import from_json, lines_schema, to_line

KINDS: Mapping[str, type] = {kind.__name__: kind for kind in (Header, *get_args(Entry))}
"""Every record, by what its lines say that it is."""


TAG = "what"


@dataclass(frozen=True)
class _What:
    what: str = ""


def to_entry_line(entry: Header | Entry) -> bytes:
    """The line of a record, without its line break."""
    return to_line(entry, **{TAG: type(entry).__name__})


def from_entry_line(line: bytes, name: str) -> Header | Entry | None:
    """The record of a line; None where a later release has it.

    Args:
        line: The line.
        name: What it is called in an error.

    Raises:
        UsageError: If it is no such record.
    """
    kind = KINDS.get(from_json(line, _What, name).what)
    if kind is None:
        return None
    found: Header | Entry = from_json(line, kind, name)
    return found


def entry_schema() -> dict[str, Any]:
    """The JSON Schema of a line."""
    return lines_schema(KINDS, TAG)
