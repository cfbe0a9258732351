"""`loadtest setup` as a whole: the document, its schema, the tables and the ways in which it ends."""

import copy
import io
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from rich.console import Console

from loadtest.errors import LaunchError, UsageError
from loadtest.launch.launcher import LocalLauncher
from loadtest.launch.network import NetworkLauncher
from loadtest.launch.running import RunningServer
from loadtest.machine.placement import UNPINNED
from loadtest.records import from_json, json_schema, to_json
from loadtest.report.setup_table import rich_tables
from loadtest.report.setup_wording import sentence_of
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server
from loadtest.setup.cold_start import cold_start
from loadtest.setup.declared import DeclaredSetup
from loadtest.setup.measure_setup import measure_setup
from loadtest.setup.probes.capability import CAPABILITIES
from loadtest.setup.setup_file import EaseOfSetup, read_setups, write_setups
from loadtest.setup.setup_finding import SetupCode, finding
from loadtest.setup.setup_plan import SetupPlan
from loadtest.setup.weighted_sum import FIGURES, weigh
from tests.launch.conftest import Obedient

Document = dict[str, Any]


NOT_IN_QUICK_FORM = finding(SetupCode.NOT_IN_QUICK_FORM)


def _check(document: Document) -> None:
    """Hold a document against the schema, with no name that it does not know, and read it."""
    schema = json_schema(EaseOfSetup)
    for kind in schema["$defs"].values():
        if "properties" in kind:
            kind["additionalProperties"] = False
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    text = json.dumps(document, allow_nan=False)
    validator.validate(json.loads(text))
    from_json(text.encode(), EaseOfSetup, "the document")


def _written(setup: EaseOfSetup) -> Document:
    document: Document = json.loads(to_json(setup))
    _check(document)
    return document


def _tables(setup: EaseOfSetup) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    for part in rich_tables(setup):
        console.print(part)
    return console.export_text()


@dataclass(frozen=True)
class CountingLauncher(LocalLauncher):
    """Keeps a list of the servers that it started."""

    started: list[str] = field(default_factory=list)

    def start(self, server: Server) -> RunningServer:
        """Start a server as any other launcher does."""
        self.started.append(server.key)
        return super().start(server)


@pytest.fixture(scope="module")
def launcher(artifact: Artifact) -> LocalLauncher:
    """Starts on free ports."""
    return LocalLauncher(artifact, UNPINNED, any_port=True, timeout_s=20.0)


@pytest.fixture
def folder_of(obedient: Obedient) -> Any:
    """The small server with the files that every server folder has."""

    def make(mode: str) -> Server:
        server = obedient(mode)
        (server.folder / "README.md").write_text("```sh\nstart it\ncurl it\n```\n")
        facts = '[[fact]]\nname = "arm64"\nsupported = true\ntext = "t"\nsource = "s"\ndate = 2026-01-31\n'
        (server.folder / "facts.toml").write_text(facts)
        return replace(server, setup={"extra": ""})

    return make


def test_the_document_keeps_its_schema(
    folder_of: Any, servers: Mapping[str, Server], launcher: LocalLauncher, tmp_path: Path
) -> None:
    """Everything that was found is in it, with weights or without, and the file holds the same."""
    good, dead = folder_of("good"), replace(folder_of("dies"), key="dead", label="Dead")
    setup = measure_setup([good, dead], servers, launcher, SetupPlan(repeat=2))
    document = _written(setup)
    found = document["servers"]["obedient"]
    assert len(found["timeline"]["warm"]["runs"]) == 2
    assert found["timeline"]["warm"]["low"] <= found["timeline"]["warm"]["median"] <= found["timeline"]["warm"]["high"]
    assert [cell["capability"] for cell in found["capabilities"]] == list(CAPABILITIES)
    assert next(cell for cell in found["capabilities"] if cell["capability"] == "arm64")["supported"]
    assert found["written"]["commands"] == ["start it", "curl it"]
    assert found["size"]["packages"] is None
    assert FIGURES["processes"](setup.servers["obedient"]) == 1
    assert found["idle_processes"]["processes"] == 1

    lost = document["servers"]["dead"]
    assert lost["timeline"]["warm"] is None
    assert "told to die" in lost["faults"][0]
    assert lost["written"] == found["written"]

    weights = {"capabilities.rest": 1.0, "figures.first_correct_s": -1.0}
    setup = replace(setup, weighted=weigh(setup.servers, weights))
    document = _written(setup)
    write_setups([setup], tmp_path / "new" / "setup.json")
    assert json.loads((tmp_path / "new" / "setup.json").read_text())["measurements"] == [document]
    assert read_setups(tmp_path / "new" / "setup.json") == [setup]
    text = _tables(setup)
    assert "FAILED  Dead" in text
    assert "Weighted by you" in text
    assert "gRPC" in text


def test_what_a_stand_in_can_do_is_marked_as_its_own(
    folder_of: Any, servers: Mapping[str, Server], launcher: LocalLauncher
) -> None:
    """No cell of it stands as that of the server it stands in for; what was looked up is that server's and is not."""
    server = folder_of("good")
    stand_in = replace(server.launches[0], label="Obedient (embedded)", stands_in_for="Obedient")
    plain = measure_setup([replace(server, key="plain")], servers, launcher, SetupPlan(repeat=1))
    marked = measure_setup([replace(server, launches=(stand_in,))], servers, launcher, SetupPlan(repeat=1))
    document = _written(marked)
    found = document["servers"]["obedient"]
    assert found["label"] == "Obedient (embedded)"
    assert found["stands_in_for"] == "Obedient"
    assert [cell["capability"] for cell in found["capabilities"] if not cell["stand_in"]] == ["arm64"]
    text = _tables(marked)
    assert "yes (stand-in)" in text
    assert "Obedient (embedded) stands in for Obedient: cells marked (stand-in) are its own" in text
    assert "docs/setup-effort.md" in text
    assert "  Obedient, arm64: t" in text

    document = _written(plain)
    found = document["servers"]["plain"]
    assert found["stands_in_for"] is None
    assert not any(cell["stand_in"] for cell in found["capabilities"])
    assert "stand" not in _tables(plain)


def test_the_schema_refuses_what_is_not_a_finding(
    folder_of: Any, servers: Mapping[str, Server], launcher: LocalLauncher
) -> None:
    """It refuses a cell without evidence, a blank without a reason, a fact without a day and a score of its own."""
    setup = measure_setup([folder_of("good")], servers, launcher, SetupPlan(repeat=1, probes="none"))
    document = _written(setup)
    cell = {"capability": "rest", "title": "REST", "supported": True, "setting": "", "notes": []}
    cell["evidence"] = [{"request": "a", "answer": "b"}]
    document["servers"]["obedient"]["capabilities"] = [cell]
    _check(document)
    spoilers: list[Callable[[Any], Any]] = [
        lambda server: server.pop("written"),
        lambda server: server["timeline"]["warm"]["runs"].clear(),
        lambda server: server["capabilities"][0].update(evidence=[]),
        lambda server: server["capabilities"][0].update(supported=None, notes=[]),
        lambda server: server["facts"][0].update(date="soon"),
        lambda server: server.update(score=1),
    ]
    for spoil in spoilers:
        spoilt = copy.deepcopy(document)
        spoil(spoilt["servers"]["obedient"])
        with pytest.raises((jsonschema.ValidationError, UsageError)):
            _check(spoilt)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeat": -1}, "0 to 100 times, not -1"),
        ({"repeat": 101}, "0 to 100 times, not 101"),
        ({"clean_cache": True}, "--clean-cache is for --cold"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    """One line says what is wrong."""
    with pytest.raises(UsageError, match=message):
        SetupPlan(**options)


def test_nothing_is_started_to_count(folder_of: Any, servers: Mapping[str, Server], artifact: Artifact) -> None:
    """Without starts and probes no server runs, and starts that were timed elsewhere stand in the result."""
    network = NetworkLauncher(artifact, UNPINNED, {}, 1.0)
    timed = {"obedient": [1.5, math.nan, 1.0]}
    plan = SetupPlan(repeat=0, probes="none")
    setup = measure_setup([folder_of("dies")], servers, network, plan, starts=timed)
    found = setup.servers["obedient"]
    assert (found.faults, found.capabilities, found.idle_processes) == ((), (), None)
    assert found.written.commands == ("start it", "curl it")
    assert found.timeline.warm is not None
    assert (found.timeline.warm.low, found.timeline.warm.high) == (1.0, 1.5)
    assert found.timeline.warm.measured_in == "comparison"
    assert found.timeline.warm.stages.ready is None
    document = _written(setup)
    assert document["servers"]["obedient"]["timeline"]["warm"]["runs"][0]["port_open"] is None
    assert "1.25 (1.00-1.50)" in _tables(setup)


def test_the_quick_form_starts_a_server_once(
    folder_of: Any, servers: Mapping[str, Server], launcher: LocalLauncher
) -> None:
    """What needs another start is left out and says so; everything else is tried, and the idle server is read."""
    server = folder_of("good")
    counting = CountingLauncher(launcher.artifact, UNPINNED, any_port=True, timeout_s=20.0)
    setup = measure_setup([server], servers, counting, SetupPlan(repeat=0, probes="quick"))
    found = setup.servers["obedient"]
    assert counting.started == ["obedient"]
    left_out = {cell.capability for cell in found.capabilities if cell.notes == (NOT_IN_QUICK_FORM,)}
    assert left_out == {"hot_swap"}
    assert {cell.capability for cell in found.capabilities if cell.supported} >= {"rest", "readiness", "health"}
    assert found.idle_processes is not None
    assert found.idle_processes.processes == 1
    assert found.timeline.warm is None
    assert "not tried in the short form" in _tables(setup)
    _written(setup)


def test_servers_that_run_already_are_not_set_up(servers: Mapping[str, Server], artifact: Artifact) -> None:
    """A launcher that starts nothing has no starts to time."""
    network = NetworkLauncher(artifact, UNPINNED, {}, 1.0)
    with pytest.raises(UsageError, match="setup starts the servers itself"):
        measure_setup([servers["flask_server"]], servers, network, SetupPlan())


def test_a_cold_start_that_fails_shows_why(obedient: Obedient, launcher: LocalLauncher, artifact: Artifact) -> None:
    """The stage, its exit code and its last line are in the text."""
    other = replace(artifact, manifest={**artifact.manifest, "workload": "nobody"})
    with pytest.raises(LaunchError, match=r"stage export: .* ended with 1:\n.*nobody"):
        cold_start(
            obedient("good"),
            DeclaredSetup(""),
            replace(launcher, artifact=other),
            clean_cache=False,
            say=lambda line: None,
        )


@pytest.mark.slow
def test_a_cold_start_ends_with_a_correct_answer(
    obedient: Obedient, launcher: LocalLauncher, artifact: Artifact
) -> None:
    """The model is exported to a folder of its own, and the server is started; the artifact stays as it was."""
    before = (artifact.folder / "manifest.json").stat().st_mtime_ns
    said: list[str] = []
    cold = cold_start(obedient("good"), DeclaredSetup(""), launcher, clean_cache=True, say=said.append)
    assert [stage.stage for stage in cold.stages] == ["export", "start"]
    assert all(stage.seconds > 0 for stage in cold.stages)
    assert cold.seconds == pytest.approx(sum(stage.seconds for stage in cold.stages), abs=0.01)
    assert "was installed already" in sentence_of(cold.notes[0])
    assert said == ["cold: exporting the model", "cold: starting"]
    assert (artifact.folder / "manifest.json").stat().st_mtime_ns == before


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "loadtest", "setup", *arguments]


def test_the_command_prints_tables_and_writes_the_file(tmp_path: Path) -> None:
    """With standard output in a pipe nothing but the result is printed."""
    (tmp_path / "weights.toml").write_text("[figures]\nprocesses = -1\n")
    options = ["--servers", "flask_server", "--any-port", "--repeat", "1", "--no-probe"]
    files = ["--out", str(tmp_path / "out"), "--weights", str(tmp_path / "weights.toml")]
    done = subprocess.run(_command(*options, *files), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    file = json.loads((tmp_path / "out" / "setup.json").read_text())
    assert (file["kind"], file["schema_version"]) == ("setup", 4)
    (document,) = file["measurements"]
    _check(document)
    server = document["servers"]["flask_server"]
    assert server["capabilities"] == []
    assert server["size"]["packages"]["count"] > 10
    assert document["weighted"]["servers"]["flask_server"]["sum"] == -server["idle_processes"]["processes"]
    for title in ("Time to the first correct answer", "Size", "What a person writes", "Weighted by you"):
        assert title in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--servers", "flsk"], "no server 'flsk'"),
        (["--repeat", "0"], "1 to 100 times"),
        (["--clean-cache"], "--clean-cache is for --cold"),
        (["--quick", "--no-probe"], "--quick is a form of the probes, which --no-probe leaves out"),
        (["--weights", "gone.toml"], "gone.toml"),
        (["--json", "."], "is a folder"),
        (["--out", "pyproject.toml/x"], "cannot write to"),
        (["--workload", "nobody"], "no artifact of workload 'nobody'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    """No traceback, no server, exit code 1."""
    done = subprocess.run(_command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def _is_flask(process: psutil.Process) -> bool:
    """Whether this is the server, and not a process that has just been forked or has ended meanwhile."""
    try:
        return "flask_server.granian_main" in process.cmdline()
    except psutil.Error:
        return False


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    """Servers end, and no file is half written."""
    process = subprocess.Popen(
        _command("--servers", "flask_server", "--any-port", "--out", str(tmp_path)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    family: list[psutil.Process] = []
    deadline = time.monotonic() + 180
    while not family and time.monotonic() < deadline:
        time.sleep(0.1)
        assert process.poll() is None, process.communicate()
        children = psutil.Process(process.pid).children(recursive=True)
        family = children if any(map(_is_flask, children)) else []
    assert family
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.strip() == "interrupted; everything that was started has ended"
    # A server that was just being started is ended by the kernel when its parent is gone, which is a moment later.
    _, left = psutil.wait_procs(family, timeout=20)
    assert [one.cmdline() for one in left if one.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []
