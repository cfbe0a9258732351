"""Sizes of memory as Docker writes them."""

import re

from loadtest.errors import UsageError

UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def read_memory_size(text: str) -> int:
    """Bytes of a size such as ``2g``, ``1500m`` or ``0.5g``.

    Raises:
        UsageError: If it is none, or below a MiB.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmg]?)b?", text.strip().lower())
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if size < UNITS["m"]:
        raise UsageError(f"{text!r} is no size of memory; write one like 2g or 1500m")
    return size
