"""setup.json: files of the first schema are read, others are refused in one line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.report.setup_table import written_title
from loadtest.report.setup_wording import evidence_of, qualification_of
from loadtest.setup.setup_file import SetupWorkload, read_setups, write_setups
from loadtest.setup.written_files import COUNTING
from tests.report.samples import SETUP


def test_a_file_of_schema_1_is_read() -> None:
    """Every figure and every sentence of it is there, under the names of the present schema."""
    old: dict[str, Any] = json.loads(SETUP.read_bytes())
    (setup,) = read_setups(SETUP)
    assert old["schema_version"] == 1
    assert setup.counting == 1
    assert setup.plan.probes == "full"
    assert list(setup.servers) == list(old["servers"])
    for key, before in old["servers"].items():
        server = setup.servers[key]
        assert server.timeline.warm is not None
        assert server.timeline.warm.median == before["timeline"]["warm"]["median"]
        assert server.timeline.warm.stages.ready is not None
        assert server.timeline.warm.stages.ready.high == before["timeline"]["warm"]["stages"]["ready"]["high"]
        assert server.idle_processes is not None
        assert server.idle_processes.threads == before["moving_parts"]["threads"]
        assert server.size.packages is not None
        assert server.size.packages.bytes == before["size"]["packages"]["bytes"]
        for cell, was in zip(server.capabilities, before["capabilities"], strict=True):
            assert (cell.title, cell.supported, cell.stand_in) == (was["title"], was["supported"], was["stand_in"])
            assert qualification_of(cell) == "; ".join(filter(None, (was["setting"], was["note"])))
            assert list(evidence_of(cell)) == [(one["request"], one["answer"]) for one in was["evidence"]]


def test_what_was_read_is_written_as_the_present_schema(tmp_path: Path) -> None:
    """A file of schema 1 that is written again is one of the present schema with the same content."""
    (setup,) = read_setups(SETUP)
    other = replace(setup, workload=SetupWorkload("imagenet", "1"))
    write_setups([setup, other], tmp_path / "setup.json")
    assert json.loads((tmp_path / "setup.json").read_bytes())["schema_version"] == 4
    assert read_setups(tmp_path / "setup.json") == [setup, other]


def test_a_file_of_schema_2_was_counted_by_the_first_rule(tmp_path: Path) -> None:
    """Its figures stay, and the title above its lines says that they are not those of today's rule."""
    present = replace(read_setups(SETUP)[0], counting=COUNTING)
    write_setups([present], tmp_path / "setup.json")
    (found,) = read_setups(tmp_path / "setup.json")
    assert written_title(found) == "What a person writes"
    (document,) = json.loads((tmp_path / "setup.json").read_bytes())["measurements"]
    del document["counting"]
    (tmp_path / "setup.json").write_text(json.dumps({**document, "kind": "setup", "schema_version": 2}))
    (old,) = read_setups(tmp_path / "setup.json")
    assert old == replace(present, counting=1)
    assert written_title(old) == "What a person writes, by an earlier rule of counting"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "is not what loadtest setup wrote: measure again, or move it away"),
        ('{"kind": "comparison", "schema_version": 1}', "is not what loadtest setup wrote"),
        ('{"kind": "setup", "schema_version": 5}', "has schema 5, and schemas 1 to 4 can be read: measure again"),
        ('{"kind": "setup", "schema_version": 1}', "a setup.json of schema 1 lacks a part: 'plan'"),
        ('{"kind": "setup", "schema_version": 0}', "has schema 0, and schemas 1 to 4 can be read"),
        ('{"kind": "setup", "schema_version": 2}', "does not keep its schema: .*date"),
        ("no", "is not JSON"),
        ("[]", "does not keep its schema"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """The text names the file and what to do."""
    path = tmp_path / "setup.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_setups(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """It cannot be read, and why."""
    with pytest.raises(UsageError, match=r"cannot read .*gone\.json: No such file"):
        read_setups(tmp_path / "gone.json")
