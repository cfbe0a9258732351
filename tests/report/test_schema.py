"""result.json keeps the schema that is drawn from its records, and a file that does not is refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loadtest.errors import UsageError
from loadtest.experiments import comparison as comparing
from loadtest.experiments import turn
from loadtest.experiments.contender import contenders
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import NOT_STEADY, REQUESTS_FAILED, SENT_LATE, TAKEN_AGAIN, TOLD, Finding
from loadtest.judge.intervals import Estimate
from loadtest.judge.result_file import ResultFile
from loadtest.judge.schema_1 import upgrade_comparison
from loadtest.judge.summary import summarise
from loadtest.judge.verdict import Verdict
from loadtest.launch.launcher import LocalLauncher
from loadtest.machine.placement import UNPINNED
from loadtest.records import from_json, json_schema, to_json
from loadtest.report.reading import read_results, write_results
from loadtest.report.wording import words
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import LaunchCommand, Server
from loadtest.setup.setup_file import read_setups, write_setups
from tests.report.samples import SAMPLE, SETUP
from tests.shortest import GATE_S

PLAN = ComparisonPlan(rounds=2, duration_s=0.5, warmup_s=0.2, rate=50, connections=2, curve=(0.3,), audit=False)
VALIDATOR = Draft202012Validator(json_schema(ComparisonResult))


class Interrupting(comparing.Watcher):
    """Ends the comparison after its first round, as Ctrl-C does, and keeps what there was."""

    kept: bytes

    def finished(self, result: ComparisonResult) -> None:
        """Keep and interrupt."""
        if any(server.rounds for server in result.servers):
            self.kept = to_json(result)
            raise KeyboardInterrupt


def plain(comparison: ComparisonResult) -> dict[str, Any]:
    """The document as another program reads it."""
    document: dict[str, Any] = json.loads(to_json(comparison))
    return document


def test_schema_is_a_schema() -> None:
    """What is drawn from the records is valid JSON Schema, and describes every record by name."""
    schema = json_schema(ResultFile)
    Draft202012Validator.check_schema(schema)
    assert {"ResultFile", "ComparisonResult", "ServerResult", "RunResult", "Finding", "Estimate"} <= set(
        schema["$defs"]
    )


def test_sample_keeps_the_schema(comparison: ComparisonResult) -> None:
    """A whole result keeps it, and is the same after it was written and read."""
    document = plain(comparison)
    assert not list(VALIDATOR.iter_errors(document))
    assert plain(from_json(to_json(comparison), ComparisonResult, "it")) == document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("complete",), "yes"),
        (("plan", "rounds"), 0),
        (("summary", 0, "p99_ms", "value"), "4"),
        (("servers", 0, "rounds", 0, "open_loop", "verdict"), {"valid": 7}),
        (("servers", 0, "rounds", 0, "open_loop", "requests", "errors"), {"timeout": -1}),
        (("servers", 0, "capacity"), {"searches": [None]}),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(
    comparison: ComparisonResult, tmp_path: Path, path: tuple[Any, ...], value: object
) -> None:
    """A wrong type, a missing name or an impossible number anywhere in the file is found."""
    inner = plain(comparison)
    document = {"kind": "comparison", "schema_version": 4, "comparisons": [inner]}
    *outer, last = path
    place: Any = inner
    for step in outer:
        place = place[step]
    place[last] = value
    (tmp_path / "result.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"\.{path[0]}|rounds must be at least 1") as refused:
        read_results(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_result_of_several_comparisons_is_read(comparison: ComparisonResult, tmp_path: Path) -> None:
    """Each comes back under its name, with the ease of setup of its model; what was not measured says why."""
    batch = replace(comparison, plan=replace(comparison.plan, batch=8))
    other = replace(comparison, workload=replace(comparison.workload, name="imagenet"))
    planned = ["digits", "digits@8", "imagenet", "minilm", "wine"]
    file = ResultFile([], planned, {"minilm": "no server could be measured"})
    for one in (comparison, replace(batch, complete=False), other, batch):
        file.hold(one)
    assert not list(Draft202012Validator(json_schema(ResultFile)).iter_errors(json.loads(to_json(file))))
    write_results(file, tmp_path)
    write_setups(read_setups(SETUP), tmp_path / "setup.json")
    results = read_results(tmp_path)
    assert list(results.comparisons) == ["digits", "digits@8", "imagenet"]
    assert [plain(one) for one in results.comparisons.values()] == [plain(one) for one in (comparison, batch, other)]
    assert [one.setup is not None for one in results.documents] == [True, True, False]
    assert results.unmeasured == {"minilm": "no server could be measured", "wine": "it was not begun"}
    with pytest.raises(UsageError, match="several comparisons: digits, digits@8, imagenet"):
        _ = results.only


def test_lists_of_numbers_stay_as_they_are(comparison: ComparisonResult) -> None:
    """The text that is written reads back as the same document, whatever its strings hold."""
    comparison.command = ["[1,\n 2]", "[ 1 , 2 ]", '"[\\n1]']
    assert plain(comparison)["command"] == comparison.command


def test_a_result_of_schema_1_is_read(comparison: ComparisonResult) -> None:
    """The sample is one: its numbers are kept, and its sentences become findings again."""
    old = json.loads(SAMPLE.read_bytes())
    assert old["schema_version"] == 1
    assert comparison.method == 1
    summary = plain(comparison)["summary"]
    for row, before in zip(summary, old["summary"], strict=True):
        assert row.pop("cpu_s_per_1000_at_common_rate") == before.pop("cpu_s_per_1000")
        row.pop("cpu_s_per_1000_at_ceiling")
        assert row == {name: value for name, value in before.items() if name not in ("faults", "notes")}
    told = [
        text
        for server in old["servers"]
        for one in server["rounds"]
        for run in (one["open_loop"], one["closed_loop"], *one["curve"])
        for text in (*run["verdict"]["reasons"], *run["verdict"]["findings"])
    ]
    findings = [
        finding
        for server in comparison.servers
        for _, run in server.runs
        for finding in (*run.verdict.reasons, *run.verdict.findings)
    ]
    assert len(findings) == len(told) > 10
    assert NOT_STEADY in {finding.code for finding in findings}
    assert [words(finding) for finding in findings] == told


def test_sentences_of_schema_1_become_findings() -> None:
    """Counts by kind are counts again, a reason is its code, and what is not known is kept as it was told."""
    sentences = {
        "30 of 20,030 requests failed (http_500 20, timeout 10)": Finding(
            REQUESTS_FAILED, {"failed": 30.0, "requests": 20_030.0, "errors": {"http_500": 20, "timeout": 10}}
        ),
        "taken again after an invalid try: the client sent late: at p99 the send lag was 4 ms": Finding(
            TAKEN_AGAIN, {"reason": SENT_LATE}
        ),
        "the moon was full": Finding(TOLD, {"text": "the moon was full"}),
    }
    old = json.loads(SAMPLE.read_bytes())
    run = old["servers"][0]["rounds"][0]["open_loop"]
    run["verdict"]["findings"] = list(sentences)
    upgraded = upgrade_comparison(old)["servers"][0]["rounds"][0]["open_loop"]["verdict"]["findings"]
    assert [Finding(one["code"], one["values"]) for one in upgraded] == list(sentences.values())


@pytest.fixture(scope="module")
def measured(artifact: Artifact, servers: Mapping[str, Server]) -> ComparisonResult:
    """A real comparison of a server that runs and one that ends at once."""
    good = servers["flask_server"]
    bad = replace(good, key="ends_at_once", launches=(LaunchCommand(("{python}", "-c", "raise SystemExit(3)")),))
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    with pytest.MonkeyPatch.context() as shorter:
        shorter.setattr(turn, "GATE_S", GATE_S)
        return comparing.compare(contenders([good, bad], ["rest"]), launcher, PLAN)


@pytest.mark.slow
def test_result_with_a_failed_server_keeps_the_schema(measured: ComparisonResult) -> None:
    """Both servers keep their place, the failed one with its fault, and the schema holds."""
    document = plain(measured)
    assert not list(VALIDATOR.iter_errors(document))
    assert [len(server["rounds"]) for server in document["servers"]] == [2, 0]
    assert document["servers"][1]["faults"]
    assert document["complete"]


@pytest.mark.slow
def test_invalid_runs_enter_no_number_of_the_summary(measured: ComparisonResult) -> None:
    """With every run invalid only the time to the first answer is known, which no load has a part in."""
    server = measured.servers[0]
    no = Verdict(valid=False, reasons=[Finding(SENT_LATE)])
    rounds = [
        replace(one, open_loop=replace(one.open_loop, verdict=no), closed_loop=replace(one.closed_loop, verdict=no))
        for one in server.rounds
    ]
    (row,) = summarise([replace(server, rounds=rounds)], measured.plan.batch)
    estimates = {name: value for name, value in vars(row).items() if isinstance(value, Estimate)}
    assert [name for name, value in estimates.items() if value.known] == ["first_prediction_s"]
    assert row.requests == 0


@pytest.mark.slow
@pytest.mark.usefixtures("shortly")
def test_incomplete_result_keeps_the_schema(artifact: Artifact, servers: Mapping[str, Server]) -> None:
    """A comparison that was interrupted after a round says so, and keeps the schema with that round."""
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    watcher = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        comparing.compare(contenders([servers["flask_server"]], ["rest"]), launcher, PLAN, watcher)
    document = json.loads(watcher.kept)
    assert not list(VALIDATOR.iter_errors(document))
    assert not document["complete"]
    assert len(document["servers"][0]["rounds"]) == 1
