"""An exporter's message in one line: its errors are long, with graphs, source locations and stack traces in them."""

import re

from devices.errors import DevicesError

LONGEST = 300
FOLDERS = re.compile(r"(?<![\w.])(?:/[\w.@+-]+)+/")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
NAMED = re.compile(r"'?(tf\.\w+)'? op is neither a custom op nor a flex op")


def told(error: BaseException) -> str:
    """The class of an error and what it says first; where operators are missing, which ones.

    Args:
        error: What an exporter or a runtime raised.
    """
    if isinstance(error, DevicesError):
        return str(error)[:LONGEST]  # written for a person, or a page's own words
    if isinstance(error, ModuleNotFoundError):
        return f"package {error.name} is missing: scripts/devices"
    text = _plain(error)
    if missing := sorted(set(NAMED.findall(text))):
        return f"{type(error).__name__}: LiteRT has no operator for {', '.join(missing)}"
    first = next((line.strip() for line in text.splitlines() if line.strip()), "no message")
    told_by = error.__cause__
    if told_by is not None and (because := _plain(told_by).strip()) and because not in first:
        first = f"{first}: {because.splitlines()[0]}"
    return f"{type(error).__name__}: {first}"[:LONGEST]


def _plain(error: BaseException) -> str:
    """Its text without colours, and without folders: where a file lay on this machine says nothing."""
    return FOLDERS.sub("", COLOURS.sub("", str(error)))
