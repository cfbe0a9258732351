"""docs/devices.md names every export that the command line offers."""

from devices.all_exports import EXPORTS
from tests.docs.scratch_copy import ROOT

PAGE = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")


def test_every_export_is_named_with_the_lengths_that_it_takes() -> None:
    """A row of the first table for each, none for what is not there."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {row[0].strip("`"): row[-1] for row in rows} == {name: export.lengths for name, export in EXPORTS.items()}
