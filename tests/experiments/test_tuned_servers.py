"""The configurations that tuning left, read again: each beside its default, and only where it fits."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from loadtest.errors import UsageError
from loadtest.experiments.tuned_servers import FILE, TunedServers, folder_of, read_tuning, shown, with_tuned
from loadtest.experiments.tuning_trial import write_configuration
from loadtest.judge.intervals import NOT_KNOWN, Estimate
from loadtest.judge.tuning_result import CONFIRMATION, SEARCH, KnobWorth, Outcome, Trial, Tuning
from loadtest.machine.host import describe_host
from loadtest.records import json_schema, to_json
from loadtest.report.tuning_report import render, sentences
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.configured_server import Surroundings, space_of
from loadtest.servers.server_folder import Server
from loadtest.servers.tuning_space import Value

VERSIONS = {"granian": "2.0"}


def tuning_of(server: Server, artifact: Artifact, tuned: Mapping[str, Value], *, better: bool = True) -> Tuning:
    """What tuning could have left of a server."""
    default = space_of(server).default(1)
    changed = {**default, **tuned}
    trials = [
        Trial(1, SEARCH, 0, default, 500.0, 300.0, 10.0),
        Trial(2, SEARCH, 0, changed, 1_100.0, 310.0, 10.0),
        Trial(3, SEARCH, 0, {**changed, "workers": 4}, 0.0, 2_500.0, 10.0, out="its peak memory is above the limit"),
    ]
    outcome = Outcome(
        default=default,
        tuned=changed if better else default,
        better=better,
        default_rps=Estimate(500.0, 450.0, 550.0),
        tuned_rps=Estimate(1_100.0, 1_000.0, 1_200.0),
        ratio=Estimate(2.2, 1.9, 2.5) if better else Estimate(1.02, 0.9, 1.15),
        worth=[KnobWorth(name, default[name], value, Estimate(2.0, 1.8, 2.2)) for name, value in tuned.items()],
        trials=trials,
        proposed_by="grid",
        configurations=12,
    )
    return Tuning(
        server=server.key,
        label=server.launch().label or server.label,
        workload=artifact.workload,
        workload_version=artifact.version,
        weights_sha256=artifact.manifest["files"]["weights.safetensors"]["sha256"],
        wire="rest",
        batch=1,
        connections=16,
        cores=1,
        slo="p99<50ms",
        errors=0.001,
        memory_mib=2_048.0,
        budget_s=1_200.0,
        seed=1,
        started_at="2026-11-26T12:00:00+00:00",
        took_s=1_100.0,
        command=["tune", server.key],
        host=describe_host(),
        launcher={"launcher": "local"},
        versions=VERSIONS,
        outcome=outcome,
        files=[],
    )


def leave(room: Path, server: Server, artifact: Artifact, tuning: Tuning) -> Path:
    """Write it as `loadtest tune` does."""
    folder = folder_of(room, artifact.workload, server.name)
    folder.mkdir(parents=True)
    write_configuration(server, tuning.outcome.tuned, folder, shown(folder), Surroundings.of(artifact, 1))
    (folder / FILE).write_bytes(to_json(tuning))
    return folder


def read(servers: list[Server], room: Path, artifact: Artifact, **changes: Any) -> TunedServers:
    """Add the tuned forms on one core."""
    return with_tuned(servers, room, artifact, changes.get("cores", 1), lambda _: changes.get("versions", VERSIONS))


@pytest.fixture
def three(servers: Mapping[str, Server]) -> list[Server]:
    """The three servers in their default form."""
    return [servers[name] for name in ("flask_server", "tf_serving", "torchserve")]


def test_each_stands_beside_its_default(three: list[Server], artifact: Artifact, tmp_path: Path) -> None:
    """One with a tuned form, one whose default nothing beats, one without: each is told, and labelled."""
    flask, _, torchserve = three
    leave(tmp_path, torchserve, artifact, tuning_of(torchserve, artifact, {"batch_size": 8, "workers": 2}))
    leave(tmp_path, flask, artifact, tuning_of(flask, artifact, {"threads": 8}, better=False))
    found = read(three, tmp_path, artifact)
    assert [one.key for one in found.servers] == ["flask_server", "tf_serving", "torchserve", "torchserve:tuned"]
    tuned = found.servers[-1]
    assert tuned.label == "TorchServe, tuned for p99<50ms on 1 core"
    assert tuned.facts.startswith("batch_size 8, workers 2;")
    assert found.servers[2] == torchserve
    assert "nothing better than its default was found" in found.servers[0].facts
    assert "has no tuned configuration for digits" in found.servers[1].facts
    assert [remark.split()[0] for remark in found.remarks] == ["tf_serving", "flask_server"] or [
        remark.split()[0] for remark in found.remarks
    ] == ["flask_server", "tf_serving"]


def test_a_record_keeps_its_schema(servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path) -> None:
    """What is written is what the schema says, and is the same when it is read."""
    flask = servers["flask_server"]
    tuning = tuning_of(flask, artifact, {"threads": 8})
    folder = leave(tmp_path, flask, artifact, tuning)
    document = json.loads((folder / FILE).read_text())
    assert not list(Draft202012Validator(json_schema(Tuning)).iter_errors(document))
    assert to_json(read_tuning(folder / FILE)) == to_json(tuning)
    (folder / FILE).write_text("{}")
    with pytest.raises(UsageError, match=r"tuned\.json does not keep its schema"):
        read_tuning(folder / FILE)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cores": 3}, "another setting of cores (1, here 3)"),
        ({"versions": {"granian": "3.0"}}, "another setting of granian (2.0, here 3.0)"),
        ({"versions": {}}, "another setting of granian (2.0, here none)"),
    ],
)
def test_what_was_found_elsewhere_is_refused(
    servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    """On other cores or with other software: one line that says what to do."""
    flask = servers["flask_server"]
    leave(tmp_path, flask, artifact, tuning_of(flask, artifact, {"threads": 8}))
    with pytest.raises(UsageError) as refused:
        read([flask], tmp_path, artifact, **changes)
    assert told in str(refused.value)
    assert "run `loadtest tune flask_server` again, or leave out --tuned" in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("weights_sha256", "0" * 64, "another setting of the weights"),
        ("workload_version", "2", "another setting of the model (digits 2, here digits 1)"),
        ("label", "Flask + gunicorn", "another setting of what is started"),
        ("schema_version", 9, "of schema 9: run `loadtest tune` again"),
    ],
)
def test_another_model_or_server_is_refused(
    servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path, field: str, value: Any, told: str
) -> None:
    """A configuration is good for what it was found with."""
    flask = servers["flask_server"]
    changed = replace(tuning_of(flask, artifact, {"threads": 8}), **{field: value})
    leave(tmp_path, flask, artifact, changed)
    with pytest.raises(UsageError) as refused:
        read([flask], tmp_path, artifact)
    assert told in str(refused.value)


def test_files_that_were_changed_are_refused(servers: Mapping[str, Server], artifact: Artifact, tmp_path: Path) -> None:
    """They would be measured under the name of what was found."""
    torchserve = servers["torchserve"]
    folder = leave(tmp_path, torchserve, artifact, tuning_of(torchserve, artifact, {"batch_size": 8}))
    with (folder / "config.properties").open("a") as file:
        file.write("job_queue_size=7\n")
    with pytest.raises(UsageError, match=r"config\.properties is not what tuned\.json beside it says"):
        read([torchserve], tmp_path, artifact)


def test_none_at_all_is_refused(three: list[Server], artifact: Artifact, tmp_path: Path) -> None:
    """Who asked for tuned servers gets no comparison without them."""
    with pytest.raises(UsageError, match=r"no server has a tuned configuration for digits in .*: run `loadtest tune"):
        read(three, tmp_path, artifact)


def test_the_report_tells_default_and_tuned(servers: Mapping[str, Server], artifact: Artifact) -> None:
    """With the ratio, what each knob is worth, and what was out."""
    torchserve = servers["torchserve"]
    tuning = tuning_of(torchserve, artifact, {"batch_size": 8, "workers": 2})
    text = render(tuning, space_of(torchserve))
    assert "# TorchServe, tuned for p99<50ms on 1 core" in text
    assert "1,100 [1,000 to 1,200] requests/s, 2.20 [1.90 to 2.50] times its default's 500 [450 to 550]" in text
    assert "| batch_size | 1 | 8 | 2.00 [1.80 to 2.20] times |" in text
    assert "- 1 configuration was out, for example: its peak memory is above the limit." in text
    assert "| batch_size 8, workers 4 | its peak memory is above the limit |" in text
    assert "| batch_size 8, workers 2 | 1,100 | 310 |" in text
    level = tuning_of(torchserve, artifact, {"batch_size": 8}, better=False)
    assert "nothing is confirmed to be better than its default" in sentences(level)[0]
    busy = replace(level.outcome, ratio=NOT_KNOWN, trials=[replace(level.outcome.trials[0], stage=CONFIRMATION)])
    assert "could not be measured" in sentences(replace(level, outcome=busy))[0]
    nothing = replace(level.outcome, ratio=NOT_KNOWN, trials=level.outcome.trials[:1])
    assert "nothing better than its default was found" in sentences(replace(level, outcome=nothing))[0]


def test_files_name_their_folder_as_compose_mounts_it(tmp_path: Path) -> None:
    """From the project's top level where it is below it, and else as a whole path."""
    assert shown(ROOT / "results" / "tuned") == "./results/tuned"
    assert shown(tmp_path) == str(tmp_path.resolve())
