"""How benchmarks tell what they measured: figures with their spread, the machine, and where they are written."""

import datetime
import platform
import shlex
import statistics
import sys
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


SPREAD = "Medians over the rounds, with the smallest and the largest."


def in_closed_loop(benchmark: str, connections: int, request: str) -> str:
    """What stands over the figures of servers in a closed loop: when, by which command, and on what they were taken.

    Args:
        benchmark: Its name; the arguments are those of this process.
        connections: Of the client.
        request: What is in a request.
    """
    host = describe_host()
    where = f"{host.cores} cores of {host.cpu}, {host.system}"
    command = f"scripts/bench {benchmark} {shlex.join(sys.argv[1:])}"
    return (
        f"Measured on {datetime.date.today()} by `{command}`: {where}, one core "
        f"for the server and one for the client, {connections} connections in a closed loop, {request}."
    )


def machine() -> str:
    """One line saying what the figures were taken on."""
    import torch

    host = describe_host()
    return (
        f"{datetime.date.today()}, {host.cpu}, {host.cores} cores, {platform.system()}, "
        f"Python {host.python}, torch {torch.__version__}"
    )
