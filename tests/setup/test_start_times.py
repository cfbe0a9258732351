"""Starts on a time line, and what runs afterwards."""

import math
from collections.abc import Iterator
from functools import partial

import psutil
import pytest

from loadtest.errors import LaunchError
from loadtest.launch import local
from loadtest.launch.attached import AttachedServer, find_running
from loadtest.launch.launcher import LocalLauncher, running
from loadtest.launch.running import RunningServer
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import Artifact
from loadtest.setup.idle_processes import language_of, read_idle_processes
from loadtest.setup.start_times import Spread, warm_starts, watched_start
from tests.launch.conftest import Obedient


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    assert [child.cmdline() for child in psutil.Process().children(recursive=True) if child.pid not in before] == []


@pytest.fixture
def launcher(artifact: Artifact) -> LocalLauncher:
    """Starts on free ports, and gives up soon."""
    return LocalLauncher(artifact, UNPINNED, any_port=True, timeout_s=20.0)


def test_each_start_is_timed_in_its_stages(obedient: Obedient, artifact: Artifact, launcher: LocalLauncher) -> None:
    """The port opens first, a server that is ready at once is seen to be, and the last one is shown while it is up."""
    seen: list[RunningServer] = []
    starts = warm_starts(launcher, obedient("good"), artifact, 2, before_last_stop=seen.append)
    assert len(starts) == 2
    assert len(seen) == 1
    for start in starts:
        assert 0 < start.port_open <= start.ready
        assert 0 < start.first_correct < math.inf
    assert not seen[0].is_ready()


def _ask(answers: list[int], body: bytes, server: AttachedServer) -> None:
    answers.append(server.predict(body).status)


def test_the_moment_of_readiness_can_be_used(obedient: Obedient, artifact: Artifact, launcher: LocalLauncher) -> None:
    """Whoever waits for it is called while the server is up."""
    answers: list[int] = []
    body = artifact.bodies()[0]
    ask = partial(_ask, answers, body)
    with watched_start(launcher, obedient("good"), artifact, ask) as (one, _, watch):
        assert one.is_ready()
    assert not one.is_ready()
    assert answers == [200]
    assert watch is not None
    assert watch.negatives == []


@pytest.mark.parametrize(("mode", "message"), [("dies", "told to die"), ("never-ready", "did not answer a prediction")])
def test_a_server_that_does_not_start_is_an_error(
    mode: str, message: str, obedient: Obedient, artifact: Artifact
) -> None:
    """Neither the server nor the thread that watched it is left."""
    launcher = LocalLauncher(artifact, UNPINNED, any_port=True, timeout_s=1.0)
    with pytest.raises(LaunchError, match=message):
        warm_starts(launcher, obedient(mode), artifact, 3)


def test_a_spread_is_median_and_range() -> None:
    """Of an odd number the median is the one in the middle."""
    assert Spread.of([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0)


def test_idle_processes_are_those_of_the_whole_tree(
    obedient: Obedient, launcher: LocalLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of two processes has two, and the port it listens on is named after its role."""
    monkeypatch.setattr(local, "STOP_S", 0.5)
    with running(launcher, [obedient("stubborn")]) as (one,):
        parts = read_idle_processes(one, idle_s=0.0)
        assert parts is not None
        assert parts.processes == 2
        assert parts.threads >= 2
        assert parts.languages == {"Python": 2}
        assert [(port.port, port.role, port.address) for port in parts.ports] == [
            (one.ports["rest"], "rest", "127.0.0.1")
        ]
        assert 1 < parts.resident_mib < 1000


def test_nothing_is_said_of_a_server_whose_processes_are_not_known(obedient: Obedient, artifact: Artifact) -> None:
    """A server that was started elsewhere has no known processes, which is not none."""
    server = obedient("good")
    with running(LocalLauncher(artifact, UNPINNED), [server]):
        found = find_running(server, artifact)
        assert found is not None
        assert read_idle_processes(found) is None


@pytest.mark.parametrize(
    ("executable", "language"),
    [("python3.11", "Python"), ("java", "Java"), ("node", "JavaScript"), ("tensorflow_model_server", "native code")],
)
def test_languages_are_told_by_the_executable(executable: str, language: str) -> None:
    """What is no known interpreter is native code."""
    assert language_of(executable) == language
