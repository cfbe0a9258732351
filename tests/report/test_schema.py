"""result.json keeps its schema, and the schema leaves out no name."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loadtest.experiments.comparison import Comparison, Plan, Watcher, compare
from loadtest.judge.verdict import Verdict
from loadtest.launch.launcher import LocalLauncher
from loadtest.machine.placement import UNPINNED
from loadtest.report.document import ESTIMATES, SCHEMA, dumps, to_json
from loadtest.report.reading import Document, schema_fault
from loadtest.report.summary import summarise
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import LaunchCommand, Server

PLAN = Plan(rounds=2, duration_s=0.5, warmup_s=0.2, rate=50, connections=2, curve=(0.3,))


class Interrupting(Watcher):
    """Ends the comparison after its first round, as Ctrl-C does, and keeps what there was."""

    kept: Comparison

    def finished(self, comparison: Comparison) -> None:
        """Keep and interrupt."""
        self.kept = comparison
        raise KeyboardInterrupt


def test_schema_is_a_schema() -> None:
    """The file is valid JSON Schema."""
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_bytes()))


def test_sample_keeps_the_schema(document: Document) -> None:
    """A whole result keeps it, with no name that it does not know; setup.json lies beside it and has its own."""
    del document["setup"]
    assert schema_fault(document, strict=True) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("complete",), "yes"),
        (("plan", "rounds"), 0),
        (("summary", 0, "p99_ms", "value"), "4"),
        (("servers", 0, "rounds", 0, "open_loop", "verdict"), {"valid": True}),
        (("servers", 0, "rounds", 0, "open_loop", "requests", "errors"), {"timeout": -1}),
        (("servers", 0, "capacity"), {"searches": [None]}),
    ],
)
def test_schema_refuses_what_is_wrong(document: Document, path: tuple[Any, ...], value: object) -> None:
    """A wrong type, a missing name or an impossible number anywhere in the file is found."""
    *outer, last = path
    place: Any = document
    for step in outer:
        place = place[step]
    place[last] = value
    assert schema_fault(document).startswith("$." + str(path[0]))


def test_lists_of_numbers_stay_as_they_are(document: Document) -> None:
    """The text that is written reads back as the same document, whatever its strings hold."""
    document["command"] = ["[1,\n 2]", "[ 1 , 2 ]", '"[\\n1]']
    assert json.loads(dumps(document)) == document


@pytest.fixture(scope="module")
def comparison(artifact: Artifact, servers: Mapping[str, Server]) -> Comparison:
    """A real comparison of a server that runs and one that ends at once."""
    good = servers["flask_server"]
    bad = replace(good, key="ends_at_once", launches=(LaunchCommand(("{python}", "-c", "raise SystemExit(3)")),))
    return compare([good, bad], artifact, LocalLauncher(artifact, UNPINNED, any_port=True), PLAN)


@pytest.mark.slow
def test_result_with_a_failed_server_keeps_the_schema(comparison: Comparison) -> None:
    """Both servers keep their place, the failed one with its fault, and the schema holds."""
    document = json.loads(dumps(to_json(comparison)))
    assert schema_fault(document, strict=True) == ""
    assert [len(server["rounds"]) for server in document["servers"]] == [2, 0]
    assert document["servers"][1]["faults"]
    assert document["complete"]


@pytest.mark.slow
def test_invalid_runs_enter_no_number_of_the_summary(comparison: Comparison) -> None:
    """With every run invalid only the time to the first answer is known, which no load has a part in."""
    record = comparison.records[0]
    no = Verdict(valid=False, reasons=["the client sent late"])
    rounds = [
        replace(one, open_loop=replace(one.open_loop, verdict=no), closed_loop=replace(one.closed_loop, verdict=no))
        for one in record.rounds
    ]
    (row,) = summarise(replace(comparison, records=[replace(record, rounds=rounds)]))
    assert [name for name in ESTIMATES if getattr(row, name).known] == ["first_prediction_s"]
    assert row.requests == 0


@pytest.mark.slow
def test_incomplete_result_keeps_the_schema(artifact: Artifact, servers: Mapping[str, Server]) -> None:
    """A comparison that was interrupted after a round says so, and keeps the schema with that round."""
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    watcher = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        compare([servers["flask_server"]], artifact, launcher, PLAN, watcher)
    document = json.loads(dumps(to_json(watcher.kept)))
    assert schema_fault(document, strict=True) == ""
    assert not document["complete"]
    assert len(document["servers"][0]["rounds"]) == 1
