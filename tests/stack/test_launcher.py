"""The compose launcher over a stack that is up: it uses what runs, starts what is missing, and says what went wrong."""

import itertools
import json
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.errors import ArtifactError, LaunchError, UsageError
from loadtest.launch.compose import ComposeLauncher
from loadtest.launch.compose_project import ComposeProject
from loadtest.launch.container import ContainerServer
from loadtest.machine.cgroup import Cgroup
from loadtest.servers.server_folder import Server
from loadtest.servers.server_toml import load_servers
from tests.shortest import SHORTLY
from tests.stack.stack import SERVERS, Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]
FLASK = load_servers()["flask_server"]


@pytest.fixture
def without_flask(stack: Stack) -> Iterator[Stack]:
    """The stack with the container of one server removed, and brought back afterwards."""
    stack.compose("rm", "--stop", "--force", "flask_server")
    yield stack
    stack.compose("up", "--detach", "--wait", "--no-deps", "flask_server")


def _launcher(stack: Stack, timeout_s: float = 60.0, **environment: str) -> ComposeLauncher:
    project = ComposeProject(stack.root, {**stack.environment, **environment})
    return ComposeLauncher("digits", project, timeout_s=timeout_s)


def _ids(stack: Stack) -> dict[str, str]:
    containers = ComposeProject(stack.root, stack.environment).containers()
    return {str(one.name): str(one.id) for one in containers}


def test_what_is_missing_is_started_and_what_was_started_ends(without_flask: Stack) -> None:
    """A server that is not up is started, measured and removed; the others stay as they are."""
    before = _ids(without_flask)
    launcher = _launcher(without_flask)
    running = launcher.start(FLASK)
    assert running.first_prediction_s > 0
    first = running.usage()
    for body in launcher.artifact.bodies():
        assert running.predict(body).status == 200
    usage = running.usage()
    assert usage.cpu_s > first.cpu_s > 0
    assert usage.peak_mib >= usage.resident_mib > 10
    assert usage.threads >= usage.processes >= 2
    assert _ids(without_flask).items() > before.items()
    running.stop()
    launcher.close()
    assert _ids(without_flask) == before


def test_what_was_not_stopped_ends_with_the_launcher(without_flask: Stack) -> None:
    """Closing the launcher ends what a failed command left behind."""
    before = _ids(without_flask)
    launcher = _launcher(without_flask)
    launcher.start(FLASK)
    launcher.close()
    assert _ids(without_flask) == before


def test_ctrl_c_ends_what_up_started(without_flask: Stack) -> None:
    """`loadtest up` prints a curl line that works, and an interrupt takes down its container and no other."""
    before = _ids(without_flask)
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtest", "up", "--launcher", "compose", "--servers", "flask_server"],
        cwd=without_flask.root,
        env=without_flask.environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        shown = list(itertools.takewhile(lambda line: not line.startswith("Ctrl-C"), process.stdout))
        curl = next(line for line in shown if line.strip().startswith("curl"))
        answered = subprocess.run(shlex.split(curl), capture_output=True, text=True, check=True)
        assert "predictions" in answered.stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert _ids(without_flask) == before


def test_a_comparison_starts_each_round_anew(without_flask: Stack, tmp_path: Path) -> None:
    """`loadtest compare` measures start, CPU and memory of the container, and takes it down."""
    before = _ids(without_flask)
    arguments = ["--servers", "flask_server", *SHORTLY, "--quick", "--out", str(tmp_path)]
    done = without_flask.loadtest("compare", "--launcher", "compose", *arguments, program="tests.shortest")
    (document,) = json.loads((tmp_path / "result.json").read_text())["comparisons"]
    assert document["servers"][0]["faults"] == [], done.stderr
    assert document["launcher"]["launcher"] == "compose"
    assert document["launcher"]["engine"]
    measured = document["servers"][0]["rounds"][0]
    assert measured["first_prediction_s"] > 0
    assert measured["open_usage"]["cpu_s"] > 0
    assert measured["open_usage"]["peak_mib"] > 10
    (setup,) = json.loads((tmp_path / "setup.json").read_text())["measurements"]
    assert setup["servers"].keys() == {"flask_server"}
    assert "page cache" in (tmp_path / "report.md").read_text()
    assert _ids(without_flask) == before


@pytest.mark.parametrize("service", SERVERS)
def test_the_effective_configuration_is_read_back(launcher: ComposeLauncher, service: str) -> None:
    """Image, limits, user and the server's own settings come from the container and not from our files."""
    running = launcher.start(load_servers()[service])
    assert isinstance(running, ContainerServer)
    described = running.describe()
    assert described["container"]["image_id"].startswith("sha256:")
    assert described["limits"] == {"cpus": 1.0, "cpuset": "0", "memory_mib": 2048.0, "pids": 512}
    assert described["user"] == "10001:10001"
    assert described["read_only"] is True
    assert "numpy" in described["packages"]
    assert all(answer for answer in running.effective().values())
    assert running.label == ("TF Serving API (embedded)" if service == "tf_serving" else running.server.label)
    assert running.first_prediction_s != running.first_prediction_s  # it ran before: not known
    json.dumps(described)


def test_usage_without_the_kernels_files(launcher: ComposeLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the Engine runs on another machine, its own report tells the same."""
    running = launcher.start(FLASK)
    before = running.usage()
    monkeypatch.setattr(Cgroup, "find", lambda pid, container: None)
    reported = running.usage()
    monkeypatch.undo()
    after = running.usage()
    assert before.cpu_s <= reported.cpu_s <= after.cpu_s
    assert before.peak_mib <= reported.peak_mib <= after.peak_mib
    assert reported.processes >= 2
    assert reported.threads >= reported.processes


def test_the_client_keeps_off_the_servers_cores(launcher: ComposeLauncher) -> None:
    """The servers' cores are those of the compose files."""
    placement = launcher.placement
    if not placement.pinned:
        pytest.skip("this machine has one core only")
    assert placement.server == (0,)
    assert 0 not in placement.client


def test_variants_are_refused(launcher: ComposeLauncher) -> None:
    """compose.yaml has one form of each server, and no other is measured under a variant's name."""
    with pytest.raises(UsageError, match=r"torchserve:batching: compose\.yaml has no variants"):
        launcher.start(load_servers()["torchserve:batching"])


def test_too_little_memory_is_named(without_flask: Stack) -> None:
    """A container that the kernel kills for its memory is not waited for, and the message names the setting."""
    launcher = _launcher(without_flask, SERVER_MEMORY="40m")
    with pytest.raises(LaunchError, match="want of memory: its limit is 40 MiB; raise SERVER_MEMORY"):
        launcher.start(FLASK)
    launcher.close()


def test_more_memory_than_there_is_is_refused(without_flask: Stack) -> None:
    """A limit beyond the machine's memory is refused before anything is started."""
    before = _ids(without_flask)
    launcher = _launcher(without_flask, SERVER_MEMORY="100000g")
    with pytest.raises(LaunchError, match="lower SERVER_MEMORY"):
        launcher.start(FLASK)
    launcher.close()
    assert _ids(without_flask) == before


def test_more_cores_than_there_are_are_refused(without_flask: Stack) -> None:
    """Cores that do not exist are named with the settings that ask for them."""
    launcher = _launcher(without_flask, SERVER_CPUSET="4000")
    with pytest.raises(LaunchError, match="set SERVER_CPUS and SERVER_CPUSET"):
        launcher.start(FLASK)
    launcher.close()


def test_a_taken_port_is_named(without_flask: Stack) -> None:
    """The message names the port and where another one is set."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        launcher = _launcher(without_flask, FLASK_SERVER_REST_PORT=str(port))
        with pytest.raises(LaunchError, match=rf"port {port} is in use: .* in \.env"):
            launcher.start(FLASK)
        launcher.close()


def test_a_server_that_never_answers_is_given_up(without_flask: Stack, tmp_path: Path) -> None:
    """Its last lines and what its health check said are in the message, and its container is gone."""
    before = _ids(without_flask)
    override = tmp_path / "silent.yaml"
    override.write_text('services: {flask_server: {entrypoint: [bash, -c, "echo I sleep; exec sleep 600"]}}\n')
    files = f"{without_flask.environment['COMPOSE_FILE']}:{override}"
    launcher = _launcher(without_flask, timeout_s=5.0, COMPOSE_FILE=files)
    with pytest.raises(LaunchError, match=r"(?s)did not answer a prediction within 5 s .*I sleep.*health check: start"):
        launcher.start(FLASK)
    launcher.close()
    assert _ids(without_flask) == before


def test_an_image_that_cannot_be_pulled_is_explained(stack: Stack) -> None:
    """The message names the ways out, the embedded server among them."""
    stack.compose("rm", "--stop", "--force", "tf_serving")
    try:
        launcher = _launcher(stack, COMPOSE_FILE="compose.yaml", TF_SERVING_IMAGE="127.0.0.1:9/nothing/here:1")
        with pytest.raises(LaunchError, match=r"cannot be pulled: .*compose\.embedded\.yaml"):
            launcher.start(load_servers()["tf_serving"])
        launcher.close()
    finally:
        stack.compose("up", "--detach", "--wait", "--no-deps", "tf_serving")


def test_an_unknown_service_is_named(launcher: ComposeLauncher, tmp_path: Path) -> None:
    """A server folder without a service says so and lists those that there are."""
    (tmp_path / "odd").mkdir()
    text = (FLASK.folder / "server.toml").read_text().replace('"flask_server"', '"odd"')
    (tmp_path / "odd" / "server.toml").write_text(text)
    odd: Server = load_servers(tmp_path)["odd"]
    with pytest.raises(LaunchError, match=r"no service 'odd' in the compose files; there are: .*torchserve"):
        launcher.start(odd)


def test_a_damaged_volume_is_refused_and_mended(stack: Stack) -> None:
    """Over running servers the launcher refuses altered artifacts; the next run of `models` builds them anew."""
    image = stack.container("models").attrs["Config"]["Image"]
    engine = ComposeProject(stack.root, stack.environment).engine
    volume = f"{stack.project}_artifacts"
    engine.containers.run(
        image,
        ["-c", "printf x >>/artifacts/digits/1/golden/labels.npy"],
        entrypoint="bash",
        user="10001",
        volumes={volume: {"bind": "/artifacts", "mode": "rw"}},
        network_mode="none",
        remove=True,
    )
    launcher = _launcher(stack)
    with pytest.raises(
        ArtifactError, match=rf"volume {volume} holds no intact model 'digits': `docker compose down -v`"
    ):
        launcher.start(FLASK)
    launcher.close()
    stack.compose("up", "--no-log-prefix", "--no-deps", "models")
    launcher = _launcher(stack)
    assert launcher.artifact.workload == "digits"
    launcher.close()
