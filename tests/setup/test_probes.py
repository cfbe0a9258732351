"""Capabilities, tried out on real servers: one that has next to none of them, and the three of the project."""

import contextlib
import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.launch.launcher import Launcher, LocalLauncher, running
from loadtest.load.schedule import Constant
from loadtest.machine.placement import UNPINNED
from loadtest.report.setup_wording import evidence_of, sentence_of
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server, WireEndpoint
from loadtest.setup.declared import read_declared
from loadtest.setup.looked_up import read_facts
from loadtest.setup.probes import protocol_probes, shutdown_probe, version_probes
from loadtest.setup.probes.all_probes import probe_capabilities
from loadtest.setup.probes.capability import (
    CAPABILITIES,
    CapabilityCell,
    Exchange,
    excerpt,
    failed,
    in_order,
    judged,
    unknown,
)
from loadtest.setup.probes.operation_probes import read_samples
from loadtest.setup.probes.probe_context import ProbeContext, effect_on
from loadtest.setup.probes.probe_load import outcome_values, put_load_until
from loadtest.setup.probes.probed_server import ProbedServer
from loadtest.setup.setup_finding import SetupCode, SetupFinding, finding
from loadtest.setup.start_times import watched_start
from loadtest.wire.golden_target import rest_target
from tests.launch.conftest import Obedient

EXPECTED = {
    "flask_server": {
        "rest",
        "binary_tensors",
        "hot_swap",
        "health",
        "readiness",
        "metrics",
        "metadata",
        "bad_input",
        "graceful_shutdown",
        "arm64",
    },
    "tf_serving": {
        "rest",
        "grpc",
        "binary_tensors",
        "gzip_request",
        "batching",
        "versions",
        "hot_swap",
        "health",
        "readiness",
        "metrics",
        "metadata",
        "signature",
        "bad_input",
        "graceful_shutdown",
    },
    "torchserve": {
        "rest",
        "grpc",
        "binary_tensors",
        "batching",
        "versions",
        "hot_swap",
        "health",
        "readiness",
        "metrics",
        "metadata",
        "bad_input",
        "auth",
        "arm64",
    },
}


def _context(server: Server, servers: Mapping[str, Server], artifact: Artifact) -> ProbeContext:
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True)
    return ProbeContext(server, read_declared(server), servers, artifact, launcher)


def _note(cell: CapabilityCell) -> str:
    return "; ".join(map(sentence_of, cell.notes))


def _probed(context: ProbeContext) -> dict[str, CapabilityCell]:
    cells = probe_capabilities(context, read_facts(context.server), lambda line: None)
    assert [cell.capability for cell in cells] == list(CAPABILITIES)
    return {cell.capability: cell for cell in cells}


@pytest.mark.parametrize(
    "name", ["flask_server", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tf_serving", "torchserve"))]
)
def test_what_each_server_can_do(name: str, servers: Mapping[str, Server], artifact: Artifact) -> None:
    """The table of each server is known, and every cell has its evidence."""
    cells = _probed(_context(servers[name], servers, artifact))
    told = {key: cell for key, cell in cells.items() if key != "gzip_response"}  # differs with the server's binary
    supported = {key for key, cell in told.items() if cell.supported}
    assert {key: told[key] for key in supported ^ EXPECTED[name]} == {}
    assert [cell for cell in told.values() if cell.supported is None] == []
    assert [cell for cell in cells.values() if not [*evidence_of(cell)]] == []


def test_a_server_that_can_do_nothing_is_not_said_to(
    obedient: Obedient, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """The probes say no where the answer is no, and a probe that fails leaves its cell blank and the others alone.

    The server predicts at any address, has no variant `gone`, and falls over whatever else is asked of it.
    """
    server = replace(obedient("good"), setup={"batching": {"variant": "gone"}})
    cells = _probed(_context(server, servers, artifact))
    assert {key for key, cell in cells.items() if cell.supported} == {"rest", "health", "readiness"}
    assert {key for key, cell in cells.items() if cell.supported is None} == {"batching", "arm64"}
    assert "names no variant 'gone'" in _note(cells["batching"])
    (lost,) = cells["graceful_shutdown"].observations
    assert (lost.code, lost.values["answered"], lost.values["sent"]) == (SetupCode.SHUTDOWN_UNDER_LOAD, 0, 4)
    assert "0 of 4 answered right" in dict(evidence_of(cells["graceful_shutdown"])).popitem()[1]
    assert "no body: RemoteDisconnected" in _note(cells["bad_input"])
    assert cells["hot_swap"].notes == (finding(SetupCode.NEW_VERSION_IGNORED),)


KILLED = "it killed the server (SIGABRT)"
SILENT = "the server stopped answering correctly"
KILLED_BY_SIGABRT = finding(SetupCode.KILLED, ending="SIGABRT")
SILENT_WITH_503 = finding(SetupCode.STOPPED_ANSWERING, answer="503: {}")


@pytest.mark.parametrize(
    ("lethal", "lost"),
    [
        ("misshapen", {"bad_input": "wrong shape killed the server (SIGABRT)"}),
        ("gzip", {"gzip_request": KILLED}),
        ("npy", {"binary_tensors": ".npy killed the server (SIGABRT)"}),
        (
            "a look at /config",
            {
                "metadata": KILLED,
                "signature": KILLED,
                "batching": f"{KILLED}; no setting for it: each request is a forward pass of its own",
                "hot_swap": f"{KILLED}; it takes no notice: a new version is a new start",
            },
        ),
    ],
)
def test_what_ends_the_server_is_told_and_spoils_no_other_cell(
    lethal: str, lost: dict[str, str], obedient: Obedient, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """Whatever a probe did to the server, the next one finds a server that lives, and its own cell is a no."""
    server = replace(obedient(f"aborts:{lethal}"), wires={"rest": WireEndpoint("rest", "/predict/{workload}")})
    cells = _probed(_context(server, servers, artifact))
    assert {key: _note(cells[key]) for key in lost} == lost
    assert [key for key in lost if cells[key].supported is not False] == []
    living = set(cells) - set(lost)
    assert {key for key in living if cells[key].supported} == {"rest", "health", "readiness", "bad_input"} - set(lost)
    assert {key for key in living if cells[key].supported is None} == {"arm64"}
    assert [key for key in living if any("refused" in one.answer for one in cells[key].evidence)] == []


@pytest.mark.parametrize(
    ("mode", "effect", "note"),
    [
        ("aborts:misshapen", KILLED_BY_SIGABRT, "wrong shape killed the server (SIGABRT)"),
        ("sulks:misshapen", SILENT_WITH_503, f"{SILENT} (503: {{}}) after: wrong shape"),
    ],
)
def test_each_bad_body_is_judged_alone(
    mode: str, effect: SetupFinding, note: str, obedient: Obedient, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """The one that ended the server is named, and those after it are refused by a server that lives."""
    server = replace(obedient(mode), wires={"rest": WireEndpoint("rest", "/predict/{workload}")})
    with contextlib.closing(ProbedServer(_context(server, servers, artifact))) as subject:
        cell = protocol_probes.probe_bad_input(subject)
    assert cell.supported is False
    assert _note(cell) == note
    assert len(cell.evidence) == 9
    (ended,) = [one for one in cell.evidence if one.effect_on_server]
    assert ended.effect_on_server == effect
    assert dict(evidence_of(cell))[ended.request].endswith(sentence_of(effect))
    assert "wrong shape" in ended.request
    assert all(one.answer.startswith("400: ") for one in cell.evidence if one is not ended)


def test_what_has_been_answered_is_read_without_a_server(
    obedient: Obedient, servers: Mapping[str, Server], artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that the last request of a probe ended is not started again to read the answers."""
    starts: list[Server] = []

    def counted(launcher: Launcher, server: Server, *rest: Any) -> Any:
        starts.append(server)
        return watched_start(launcher, server, *rest)

    monkeypatch.setattr("loadtest.setup.probes.probed_server.watched_start", counted)
    server = replace(obedient("aborts:base64"), wires={"rest": WireEndpoint("rest", "/predict/{workload}")})
    with contextlib.closing(ProbedServer(_context(server, servers, artifact))) as subject:
        assert _note(protocol_probes.probe_binary(subject)) == '{"b64": …} for the tensor killed the server (SIGABRT)'
    assert starts == [server]


def test_a_worker_that_still_loads_is_no_finding(
    obedient: Obedient, servers: Mapping[str, Server], artifact: Artifact
) -> None:
    """A refusal that passes is no end of the server, and its two workers are no version 2."""
    context = _context(obedient("halting"), servers, artifact)
    with running(context.launcher, [context.server]) as (one,):
        assert effect_on(one) is None
    assert version_probes.probe_new_folder(context).supported is False
    assert context.take_effects() == []


@pytest.mark.parametrize("bound", [100, 300])
def test_requests_in_flight_have_no_more_instances_than_the_model_allows(
    bound: int, obedient: Obedient, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that refuses more than the artifact's bound is not asked for more, however fast it is."""
    monkeypatch.setattr(shutdown_probe, "WORK_S", math.inf)  # nor does it stop at fewer, however slow the machine is
    bounded = replace(artifact, manifest={**artifact.manifest, "max_instances": bound})
    with running(LocalLauncher(bounded, UNPINNED, any_port=True), [obedient("good")]) as (one,):
        cell = shutdown_probe.probe_shutdown(one)
    (counted,) = cell.observations
    assert counted.values["instances"] == bound
    assert next(evidence_of(cell))[0].startswith(f"4 predictions of {bound} instances each")


def test_a_load_goes_on_until_something_has_happened(obedient: Obedient, artifact: Artifact) -> None:
    """It runs once where that is the case already, as often as allowed where it never is, and counts every request."""
    schedule = Constant(20.0, 0.2)
    never, already = threading.Event(), threading.Event()
    already.set()
    with running(LocalLauncher(artifact, UNPINNED, any_port=True), [obedient("good")]) as (one,):
        once = put_load_until(already, rest_target(one.url, one.artifact.golden), schedule, 2, most=3)
        thrice = put_load_until(never, rest_target(one.url, one.artifact.golden), schedule, 2, most=3)
    assert (once.ok, once.scheduled) == (4, 4)
    assert (thrice.ok, thrice.scheduled) == (12, 12)
    assert outcome_values(once) == {"answered": 4, "sent": 4, "errors": {}}
    once.errors["timeout"] += 1
    cell = judged(
        "hot_swap", False, observations=[finding(SetupCode.SWAP_UNDER_LOAD, rate=20.0, **outcome_values(once))]
    )
    assert next(evidence_of(cell))[1] == "4 of 4 answered right, 1 timeout"


@pytest.mark.parametrize(
    ("page", "samples"),
    [
        ("# TYPE a counter\na 1\n", {"a": 1.0}),
        ('a{x="1",y="{"} 2.5 1700000000\n', {'a{x="1",y="{"}': 2.5}),
        ('a{x="} 3"} +Inf\n', {'a{x="} 3"}': float("inf")}),
        ("", {}),
        ("<html>no</html>", {}),
        ('{"json": 1}', {}),
        ("a 1\nnot a sample\n", {}),
    ],
)
def test_metrics_pages_are_told_from_others(page: str, samples: dict[str, float]) -> None:
    """A page counts as Prometheus' only if every line of it is a sample or a comment."""
    assert read_samples(page) == samples


def test_excerpts_are_short_and_printable() -> None:
    """Evidence is for reading: one line, and bytes that are no text are counted."""
    assert excerpt(b'{"a":\n  1}') == '{"a": 1}'
    assert excerpt(b"\xff\x00\x01") == "<3 bytes>"
    assert excerpt("a\x00b") == "<3 characters>"
    assert len(excerpt("x" * 1000)) == 160


def test_a_capability_that_was_not_probed_is_unknown() -> None:
    """Every capability has a cell, and a later finding takes the place of an earlier one."""
    shown = [Exchange("asked", "answered")]
    given = [judged("auth", False, shown), failed("grpc", UsageError("why\nmore")), judged("auth", True, shown)]
    cells = in_order(given)
    assert [cell.capability for cell in cells] == list(CAPABILITIES)
    by_name = {cell.capability: cell for cell in cells}
    assert by_name["auth"].supported
    assert _note(by_name["grpc"]) == "why"
    assert _note(by_name["rest"]) == "not probed"
    assert by_name["rest"].supported is None


def test_a_cell_without_its_grounds_is_no_finding() -> None:
    """A yes needs evidence, and what is not known a reason."""
    with pytest.raises(ValueError, match="grpc has no evidence"):
        judged("grpc", True)
    with pytest.raises(ValueError, match="grpc is not known, and no note says why"):
        unknown("grpc")
