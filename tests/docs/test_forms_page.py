"""docs/forms.md shows the tables that `models forms` wrote, and names every form and every variant."""

from collections.abc import Mapping

import pytest

from loadtest.servers.server_folder import Server
from models.forms.all_forms import FORMS
from tests.docs.scratch_copy import ROOT

PAGE = (ROOT / "docs" / "forms.md").read_text(encoding="utf-8")
TABLES = sorted((ROOT / "docs" / "measured" / "forms").glob("*.md"))


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_stands_there_as_it_was_written(table: str) -> None:
    """With the command that measured it; a number changed by hand is found."""
    text = (ROOT / table).read_text(encoding="utf-8")
    assert "Measured on " in text
    assert text in PAGE


def test_every_form_and_every_variant_of_one_is_named(servers: Mapping[str, Server]) -> None:
    """So that the page tells what the command line offers."""
    assert [name for name in FORMS if f"`{name}`" not in PAGE] == []
    variants = [key for key in servers if key.endswith((":compiled", ":aotinductor"))]
    assert [key for key in variants if f"`{key}`" not in PAGE] == []
    assert len(variants) == 3
