"""The local launcher with a real process: every way to start, fail and end."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.errors import LaunchError, MeasurementError, ParityError
from loadtest.experiments import comparison as comparing
from loadtest.experiments import turn
from loadtest.experiments.contender import contenders
from loadtest.experiments.parity import check_parity
from loadtest.experiments.server_run import measure_server
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.judge.comparison_result import ComparisonResult
from loadtest.judge.findings import SENT_LATE, STEAL, TAKEN_AGAIN, WRONG_ANSWERS, Finding
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.verdict import Verdict
from loadtest.launch import local
from loadtest.launch.attached import find_running
from loadtest.launch.first_prediction import await_first_prediction
from loadtest.launch.launcher import LocalLauncher, running
from loadtest.launch.running import RunningServer
from loadtest.load.plan import Load
from loadtest.load.schedule import Poisson
from loadtest.machine.placement import UNPINNED, choose_placement
from loadtest.machine.usage import Usage
from loadtest.records import from_json, to_json
from loadtest.report.table import remarks
from loadtest.report.wording import all_words, words
from loadtest.servers.artifact import ROOT, Artifact
from tests.launch.conftest import Obedient


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    # The fork server and resource tracker of multiprocessing serve the whole test run.
    ours = [child.cmdline() for child in left if "multiprocessing" not in " ".join(child.cmdline())]
    assert ours == []


def _launcher(artifact: Artifact, **options: float) -> LocalLauncher:
    return LocalLauncher(artifact, UNPINNED, any_port=True, timeout_s=options.get("timeout_s", 30.0))


def test_a_good_server_is_started_checked_and_stopped(obedient: Obedient, artifact: Artifact) -> None:
    """It answers, reports its effective configuration, has its usage read, and is gone afterwards."""
    with running(_launcher(artifact), [obedient("good")]) as (one,):
        assert one.first_prediction_s > 0
        assert check_parity(one, artifact, one.server.wires).agrees
        assert int(one.effective()["config"]["threads"]) >= 1
        usage = one.usage()
        assert usage.cpu_s > 0
        assert usage.peak_mib >= usage.resident_mib > 0
        assert usage.processes == 1
        port = one.ports["rest"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))


def test_a_configuration_is_asked_for_until_it_is_told(obedient: Obedient, artifact: Artifact) -> None:
    """A worker that is still loading answers 503 after another one has answered a prediction."""
    with running(_launcher(artifact), [obedient("halting")]) as (one,):
        assert [one.effective() for _ in range(3)] == [{"config": {"threads": "2"}}] * 3


def test_pinning_reaches_the_server(obedient: Obedient, artifact: Artifact) -> None:
    """The server runs on its cores and on no other, and computes with as many threads."""
    placement = choose_placement(pin=True)
    if not placement.pinned:
        pytest.skip("this machine has one core only")
    launcher = LocalLauncher(artifact, placement, any_port=True)
    with running(launcher, [obedient("good")]) as (one,):
        assert isinstance(one, local.LocalServer)
        assert psutil.Process(one.pid).cpu_affinity() == list(placement.server)
        assert one.effective()["config"]["threads"] == str(len(placement.server))
    assert set(placement.server) & set(placement.client) == set()


def test_a_taken_port_is_named_with_its_owner(obedient: Obedient, artifact: Artifact) -> None:
    """The message names the port, the program that has it, and the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        launcher = LocalLauncher(artifact, UNPINNED)
        with pytest.raises(LaunchError, match=rf"port {port} \(rest of obedient\) is in use by .*--any-port"):
            launcher.start(obedient("good", port))


def test_a_server_that_dies_shows_its_last_lines(obedient: Obedient, artifact: Artifact) -> None:
    """The exit code and what it printed are in the message."""
    with pytest.raises(LaunchError, match=r"exit code 1; its last lines:\n.*I was told to die"):
        _launcher(artifact).start(obedient("dies"))


def test_a_server_that_never_becomes_ready_is_given_up(
    obedient: Obedient, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason, the patience and its last lines are in the message, and the process is ended."""

    def await_once_it_listens(running: RunningServer, started: float, timeout_s: float) -> None:
        while running.predict_example().status != 503:  # on a busy machine its start alone may outlast the patience
            running.raise_if_ended()
        await_first_prediction(running, started, timeout_s)

    monkeypatch.setattr(local, "await_first_prediction", await_once_it_listens)
    with pytest.raises(LaunchError, match=r"did not answer a prediction within 1 s \(HTTP 503.*\n.*obedient server"):
        _launcher(artifact, timeout_s=1.0).start(obedient("never-ready"))


def test_a_server_with_wrong_answers_is_not_waited_for(obedient: Obedient, artifact: Artifact) -> None:
    """Being ready and wrong is a parity error at once and not a time-out."""
    with pytest.raises(ParityError, match=r"golden example 0 wrongly \(off by 0\.5"):
        _launcher(artifact).start(obedient("wrong"))


def test_a_stubborn_server_is_killed_with_its_children(
    obedient: Obedient, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ignoring SIGTERM helps neither the server nor what it started."""
    monkeypatch.setattr(local, "STOP_S", 0.5)
    with running(_launcher(artifact), [obedient("stubborn")]) as (one,):
        assert isinstance(one, local.LocalServer)
        family = [psutil.Process(one.pid), *psutil.Process(one.pid).children(recursive=True)]
        assert len(family) == 2
    # A killed orphan stays in the process table until init reaps it.
    assert all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in family)


def test_a_result_holds_no_folder_of_this_machine(obedient: Obedient, artifact: Artifact) -> None:
    """Paths in the project are told from its top level; the server was given whole ones."""
    server = obedient("good")
    start = server.launches[0]
    words = ("{root}/a", "{artifact}/b", "{run_dir}/c")
    env = {**start.env, "PYTHONPATH": "{root}", "HERE": "{here}"}
    server = replace(
        server, folder=ROOT / "flask_server", launches=(replace(start, command=(*start.command, *words), env=env),)
    )
    folder = artifact.folder  # it is outside of the project where $BAKEOFF_ARTIFACTS says so
    folder = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    with running(_launcher(artifact), [server]) as (one,):
        assert isinstance(one, local.LocalServer)
        described = one.describe()
        given = psutil.Process(one.pid).cmdline()[-3:]
    assert described["command"][-3:] == ["./a", f"{folder}/b", "RUN_DIR/c"]
    assert described["env"] == {"THREADS": described["env"]["THREADS"], "PYTHONPATH": ".", "HERE": "flask_server"}
    assert all(Path(word).is_absolute() for word in given)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("{python}", "-c", "print('Some Server: 1.2\\n\\nLibrary: 3')"), {"version": "Some Server: 1.2; Library: 3"}),
        (("{python}", "-c", "raise SystemExit('no such option')"), {"version": "unknown"}),
        (("/nowhere/at/all", "--version"), {"version": "unknown"}),
        ((), {}),
    ],
    ids=["two lines", "refuses", "missing", "not declared"],
)
def test_the_version_of_a_program_is_what_it_says_itself(
    words: tuple[str, ...], told: dict[str, str], obedient: Obedient, artifact: Artifact
) -> None:
    """A result of a program on PATH has to say which one that was; the artifact's versions are the exporter's."""
    server = obedient("good")
    server = replace(server, launches=(replace(server.launches[0], version=words),))
    with running(_launcher(artifact), [server]) as (one,):
        described = one.describe()
    assert {key: value for key, value in described.items() if key not in ("command", "env", "cores")} == told


def test_a_missing_program_is_named(obedient: Obedient, artifact: Artifact) -> None:
    """A command that does not exist is one line."""
    server = obedient("good")
    broken = replace(server, launches=(replace(server.launches[0], command=("/nowhere/at/all",)),))
    with pytest.raises(LaunchError, match="obedient cannot be started"):
        _launcher(artifact).start(broken)


def test_a_running_server_is_found_and_left_running(obedient: Obedient, artifact: Artifact) -> None:
    """A server that is up already is used, and its usage is not invented."""
    server = obedient("good")
    assert find_running(server, artifact) is None
    with running(LocalLauncher(artifact, UNPINNED), [server]) as (one,):
        attached = find_running(server, artifact)
        assert attached is not None
        assert attached.usage_if_known() is None
        attached.stop()
        assert one.is_ready()


@pytest.mark.usefixtures("shortly")
def test_a_comparison_goes_on_without_the_server_that_fails(
    obedient: Obedient, artifact: Artifact, tmp_path: Path
) -> None:
    """A server that dies under load keeps its place with its errors; one that cannot start keeps it with the fault."""
    mortal = obedient(f"mortal:{tmp_path / 'marker'}")
    hopeless = replace(mortal, key="hopeless", launches=(replace(mortal.launches[0], command=("/nowhere",)),))
    plan = ComparisonPlan(rounds=1, duration_s=0.5, warmup_s=0.0, rate=50.0, connections=2, audit=False)
    seen: list[int] = []

    class Watcher(comparing.Watcher):
        def finished(self, result: ComparisonResult) -> None:
            seen.append(len(from_json(to_json(result), ComparisonResult, "it").servers))

    comparison = comparing.compare(contenders([mortal, hopeless], ["rest"]), _launcher(artifact), plan, Watcher())
    first, second = comparison.servers
    assert "hopeless cannot be started" in words(second.faults[0])
    requests = first.rounds[0].open_loop.requests
    assert 0 < requests.ok < requests.scheduled
    assert requests.errors["connection_refused"] > 0
    assert requests.ok + requests.mismatched + sum(requests.errors.values()) == requests.scheduled
    assert comparison.complete
    assert all(count == 2 for count in seen)


@pytest.mark.parametrize(("spoiled", "runs", "valid"), [(0, 2, True), (1, 3, True), (3, 4, False)])
@pytest.mark.usefixtures("shortly")
def test_a_spoiled_run_is_taken_again_and_said_to_be(
    spoiled: int, runs: int, valid: bool, obedient: Obedient, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same schedule up to three times; every try that was thrown away is told, and the last one counts as it is."""
    asked: list[Load] = []

    def judged(running: RunningServer, load: Load, *args: Any, **options: Any) -> tuple[MeasuredRun, Usage | None]:
        result, usage = measure_server(running, load, *args, **options)
        if load.seed != 1:  # that of the gate
            asked.append(load)
        late = isinstance(load.schedule, Poisson) and len(asked) <= spoiled
        return replace(result, verdict=Verdict(not late, [Finding(SENT_LATE)] if late else [])), usage

    monkeypatch.setattr(turn, "measure_server", judged)
    plan = ComparisonPlan(rounds=1, duration_s=0.3, warmup_s=0.0, rate=50.0, connections=2, tries=3, audit=False)
    (record,) = comparing.compare(contenders([obedient("good")], ["rest"]), _launcher(artifact), plan).servers
    verdict = record.rounds[0].open_loop.verdict
    assert len(asked) == runs
    assert len({load for load in asked if isinstance(load.schedule, Poisson)}) == 1
    assert verdict.valid is valid
    assert verdict.findings == [Finding(TAKEN_AGAIN, {"reason": SENT_LATE})] * min(spoiled, 2)


@pytest.mark.parametrize("spoiled", [1, 9])
@pytest.mark.usefixtures("shortly")
def test_a_gate_that_was_spoiled_is_taken_again_and_then_told(
    spoiled: int, obedient: Obedient, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad try is thrown away; where every try was bad, a reader is told that the common rate rests on it."""
    gates: list[Load] = []

    def judged(running: RunningServer, load: Load, *args: Any, **options: Any) -> tuple[MeasuredRun, Usage | None]:
        result, usage = measure_server(running, load, *args, **options)
        if load.seed == 1:  # that of the gate
            gates.append(load)
            busy = len(gates) <= spoiled
            result = replace(result, verdict=Verdict(not busy, [Finding(STEAL, {"share": 0.2})] if busy else []))
        return result, usage

    monkeypatch.setattr(turn, "measure_server", judged)
    plan = ComparisonPlan(rounds=1, duration_s=0.3, warmup_s=0.5, connections=2, audit=False)
    result = comparing.compare(contenders([obedient("good")], ["rest"]), _launcher(artifact), plan)
    (record,) = result.servers
    assert len(gates) == 2
    assert gates[0].warmup_s == plan.warmup_s
    assert record.gate is not None
    assert record.gate.verdict.valid is (spoiled == 1)
    assert record.gate_ceiling_rps == record.gate.throughput_rps
    assert any("its gate was spoiled" in line for line in remarks(result)) is (spoiled == 9)


@pytest.mark.usefixtures("shortly")
def test_wrong_answers_at_the_gate_keep_a_server_out(
    obedient: Obedient, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ceiling is no number that the others' common rate may rest on, and it is not timed."""

    def judged(running: RunningServer, load: Load, *args: Any, **options: Any) -> tuple[MeasuredRun, Usage | None]:
        result, usage = measure_server(running, load, *args, **options)
        result.tally.mismatched += 3
        wrong = Finding(WRONG_ANSWERS, {"wrong": 3, "requests": result.tally.scheduled})
        return replace(result, verdict=Verdict(False, [wrong])), usage

    monkeypatch.setattr(turn, "measure_server", judged)
    plan = ComparisonPlan(rounds=1, duration_s=0.3, warmup_s=0.0, connections=2, audit=False)
    with pytest.raises(MeasurementError, match="no server could be measured") as failure:
        comparing.compare(contenders([obedient("good")], ["rest"]), _launcher(artifact), plan)
    assert "the closed loop at the gate was not answered correctly" in all_words(failure.value.findings)


@pytest.mark.usefixtures("shortly")
def test_nothing_measurable_is_an_error(obedient: Obedient, artifact: Artifact) -> None:
    """Where no server passes the gate, the comparison says why and does not print an empty table."""
    plan = ComparisonPlan(rounds=1, duration_s=0.5, rate=50.0)
    with pytest.raises(MeasurementError, match="no server could be measured") as failure:
        comparing.compare(contenders([obedient("dies")], ["rest"]), _launcher(artifact), plan)
    assert all_words(failure.value.findings).startswith("obedient")
