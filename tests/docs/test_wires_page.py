"""docs/wires.md says of each server what its server.toml says."""

import re
from collections.abc import Mapping

from loadtest.servers.server_folder import Server
from loadtest.wire.formats import wire_names
from tests.docs.scratch_copy import ROOT

PAGE = (ROOT / "docs" / "wires.md").read_text(encoding="utf-8")
FIRST_TABLE = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)[0]


def test_the_table_holds_every_wire_format_and_who_speaks_it(servers: Mapping[str, Server]) -> None:
    """A row for each format, a column for each server."""
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in FIRST_TABLE.splitlines()
        if not line.startswith("| :")
    ]
    told = {row[0].strip("`"): dict(zip(header[2:], row[2:], strict=True)) for row in rows}
    assert sorted(told) == wire_names()
    assert header[2:] == [key for key in servers if ":" not in key]
    for wire, speakers in told.items():
        for key, answer in speakers.items():
            assert answer == ("yes" if wire in servers[key].wires else "no"), (wire, key)
