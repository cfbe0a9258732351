"""Sizes of memory as Docker writes them."""

import pytest

from loadtest.errors import UsageError
from loadtest.machine.memory_size import read_memory_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("2g", 2**31), ("1500m", 1_500 * 2**20), ("0.5G", 2**29), ("4GB", 2**32), ("1048576", 2**20), (" 2048k ", 2**21)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    """In any case, with a unit or without."""
    assert read_memory_size(text) == size


@pytest.mark.parametrize("text", ["", "g", "2t", "-1g", "nan", "1k", "two"])
def test_others_are_refused(text: str) -> None:
    """And so is what no server could run in."""
    with pytest.raises(UsageError, match="is no size of memory; write one like 2g or 1500m"):
        read_memory_size(text)
