"""The terminal's table: 80 columns, whole numbers, every server."""

import io
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.intervals import Estimate
from loadtest.report.reading import read_results
from loadtest.report.terminal_table import ROWS, terminal_tables

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 80
LONGEST = "TensorFlow Serving 2.17.1 (built from source, REST)"


def printed(comparison: ComparisonResult) -> list[str]:
    """The lines as a terminal of 80 columns shows them."""
    console = Console(width=WIDTH, file=io.StringIO(), highlight=False)
    for table in terminal_tables(comparison):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def numbers(estimate: Estimate, digits: int) -> list[str]:
    """What must be read of an estimate, each in one piece."""
    if not estimate.known:
        return ["—"]
    value = f"{estimate.value:,.{digits}f}"
    if math.isnan(estimate.low):
        return [value]
    return [value, f"{estimate.low:,.{digits}f}\N{EN DASH}{estimate.high:,.{digits}f}"]


@pytest.mark.parametrize("servers", [1, 3, 4, 5])
def test_the_table_fits_80_columns_with_every_number_whole(comparison: ComparisonResult, servers: int) -> None:
    """With the longest labels and large numbers: no line is longer, no number is broken, none is missing."""
    row = replace(comparison.summary[0], ceiling_rps=Estimate(14_637.0, 14_479.0, 14_783.0))
    comparison.summary = [replace(row, key=f"s{number}") for number in range(servers)]
    server = comparison.servers[0]
    comparison.servers = [replace(server, key=f"s{number}", label=f"{LONGEST} {number}") for number in range(servers)]
    lines = printed(comparison)
    assert max(map(len, lines)) <= WIDTH
    words = [word for line in lines for word in line.split()]
    for line in ROWS:
        for told in numbers(getattr(row, line.name), line.digits):
            assert words.count(told) >= servers, told
    assert sum(line.count(f"of {row.requests:,}") for line in lines) == servers


def test_the_table_says_what_the_result_says() -> None:
    """The measured result in docs: each row holds its three values, and under them their intervals."""
    comparison = read_results(ROOT / "docs" / "measured" / "tensorflow-serving-2.17.1").only.comparison
    lines = printed(comparison)
    for line in ROWS:
        (at,) = [index for index, text in enumerate(lines) if text.strip().startswith(line.title)]
        told = re.split(r"\s{2,}", lines[at].strip())[1:], lines[at + 1].split()
        expected = [numbers(getattr(row, line.name), line.digits) for row in comparison.summary]
        assert [list(pair) for pair in zip(*told, strict=True)] == expected


def test_a_capacity_that_the_client_bounds_is_told_as_a_lower_bound(comparison: ComparisonResult) -> None:
    """The sign stands before that capacity alone, in one piece with it; what is not known has none."""
    (row,) = [line for line in printed(comparison) if line.strip().startswith("capacity per s")]
    told = row.split()[3:]
    found = {server.key: server.capacity for server in comparison.servers}
    expected = []
    for one in (found[row.key] for row in comparison.summary):
        sign = "\N{GREATER-THAN OR EQUAL TO}" if one and one.bounded_by_client else ""
        expected.append(f"{sign}{one.estimate_rps.value:,.0f}" if one and one.estimate_rps.known else "—")
    assert told == expected
    assert sum(cell.startswith("\N{GREATER-THAN OR EQUAL TO}") for cell in told) == 1
