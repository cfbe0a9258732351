"""Reads setup.json of schema 1: notes were sentences there, and some names were others."""

from typing import Any

from loadtest.errors import UsageError
from loadtest.setup.setup_finding import SetupCode


def upgraded_from_1(document: dict[str, Any]) -> dict[str, Any]:
    """The same content under the names of schema 2; a sentence stays one, as a finding `SetupCode.AS_WORDED`.

    Raises:
        UsageError: If a part is missing.
    """
    try:
        plan = document["plan"]
        return {
            **document,
            "schema_version": 2,
            "plan": {**plan, "probes": "full" if plan["probe"] else "none"},
            "servers": {key: _server(server) for key, server in document["servers"].items()},
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"a setup.json of schema 1 lacks a part: {error}") from error


def _server(server: dict[str, Any]) -> dict[str, Any]:
    image, timeline = server["size"]["image"], server["timeline"]
    cold = timeline["cold"]
    return {
        **server,
        "timeline": {**timeline, "cold": cold and {**cold, "notes": [_as_worded(note) for note in cold["notes"]]}},
        "size": {**server["size"], "image": image and {**image, "note": _note_of(image)}},
        "idle_processes": server["moving_parts"],
        "capabilities": [_cell(cell) for cell in server["capabilities"]],
    }


def _note_of(image: dict[str, Any]) -> dict[str, Any] | None:
    return None if image["bytes"] is not None else _as_worded(image["note"])


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    return {**cell, "notes": [_as_worded(cell["note"])] if cell["note"] else []}


def _as_worded(text: str) -> dict[str, Any]:
    return {"code": SetupCode.AS_WORDED, "values": {"text": text}}
