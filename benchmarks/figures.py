"""How benchmarks tell what they measured: figures with their spread, the machine, and where they are written."""

import datetime
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

from loadtest.machine.host import describe_host


def spread(values: Sequence[float], digits: int, unit: str = "") -> str:
    """The median, with the smallest and the largest value behind it.

    Args:
        values: One for each round.
        digits: Decimals.
        unit: What stands behind the median.
    """
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def write_figures(page: Path, figures: str, name: str = "figures") -> None:
    """Puts figures between two marks of a Markdown file, ``<!-- name -->`` and the next ``<!-- end -->``."""
    begin, end = f"<!-- {name} -->", "<!-- end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(f"{before}{begin}\n\n{figures}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def machine() -> str:
    """One line saying what the figures were taken on."""
    import torch

    host = describe_host()
    return (
        f"{datetime.date.today()}, {host.cpu}, {host.cores} cores, {platform.system()}, "
        f"Python {host.python}, torch {torch.__version__}"
    )
