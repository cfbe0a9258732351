"""The processor that something was measured on."""

import os
import platform
from pathlib import Path


def described() -> str:
    """The processor and its cores."""
    processor = platform.processor() or platform.machine()
    told = Path("/proc/cpuinfo")
    if told.exists():
        named = [line.partition(":")[2].strip() for line in told.read_text().splitlines() if "model name" in line]
        processor = named[0] if named else processor
    return f"{processor}, {os.cpu_count()} cores"
