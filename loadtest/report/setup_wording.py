"""How a cell of the capability table is told, wherever it is shown: on the terminal, in report.md and on the page."""

from collections.abc import Mapping
from typing import Any

WORDS = {True: "yes", False: "no", None: "?"}
MARK = "(stand-in)"
DOCUMENTED = "docs/setup-effort.md"


def mark_of(cell: Mapping[str, Any]) -> str:
    """What is set behind the answer of a cell that is a stand-in's own; nothing for any other cell."""
    return MARK if cell.get("stand_in") else ""


def answer_of(cell: Mapping[str, Any]) -> str:
    """The answer of a cell with its mark, such as ``yes (stand-in)``."""
    return f"{WORDS[cell['supported']]} {mark_of(cell)}".rstrip()


def stand_in_lines(servers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What has to be said below the capability table: which column is that of a stand-in.

    Args:
        servers: Each server's part of the document by its label.
    """
    return [
        f"{label} stands in for {real}: cells marked {MARK} are its own, the others were looked up for {real}; "
        f"what {real} itself showed stands in {DOCUMENTED}"
        for label, server in servers.items()
        if (real := server.get("stands_in_for"))
    ]


def looked_up_of(server: Mapping[str, Any], label: str) -> str:
    """Whose facts a server's are: nobody looks up a stand-in, so they are those of what it stands in for."""
    return str(server.get("stands_in_for") or label)
