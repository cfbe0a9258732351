"""The page on ease of setup shows which files count for each server."""

import re
from pathlib import Path

from loadtest.servers.server_toml import load_servers, select_servers
from loadtest.setup.declared import read_declared
from loadtest.setup.written_files import WRITTEN_KINDS, count_written

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "setup-effort.md"
BLOCK = re.compile(r"<!-- counted files -->\n(.*?)<!-- /counted files -->", re.DOTALL)


def counted_files() -> str:
    """A table of the files of the three servers in their default form, by kind, with their lines."""
    rows = ["| server | kind | files, each with its lines |", "|---|---|---|"]
    for server in select_servers("flask_server,tf_serving,torchserve", load_servers()):
        files = count_written(server, read_declared(server)).files
        for kind in WRITTEN_KINDS:
            named = ", ".join(f"`{file.path}` {file.lines}" for file in files if file.kind == kind)
            rows += [f"| {server.name} | {kind} | {named} |"] if named else []
    return "\n".join([*rows, ""])


def test_the_page_lists_the_files_that_count() -> None:
    """Each file and its lines stand there as they are counted now."""
    assert BLOCK.findall(PAGE.read_text(encoding="utf-8")) == [counted_files()]
