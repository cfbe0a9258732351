"""Servers that run over a push target take what is pushed, and go back, while requests go on."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.experiments.parity import check_parity
from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.resilience.parts import NEXT
from loadtest.resilience.version_witness import answers_of
from loadtest.servers.artifact import Artifact, artifacts_root, read_artifact
from loadtest.servers.server_folder import Server, fill
from loadtest.setup.declared import ProcedureRequest, read_declared
from loadtest.wire.single_request import Answer
from release.blessing import FOLDER
from release.push import push
from release.push_target import SERVING, open_target
from tests.release.conftest import blessed

WAIT_S = 60.0


class Asker(threading.Thread):
    """Asks a server one golden example after the other until it is stopped, and keeps every answer."""

    def __init__(self, running: LocalServer) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.answers: list[tuple[int, Answer]] = []
        self._running, self._bodies = running, running.artifact.bodies()

    def run(self) -> None:
        """Ask."""
        while not self.over.is_set():
            payload = len(self.answers) % len(self._bodies)
            self.answers.append((payload, self._running.predict(self._bodies[payload])))
            time.sleep(0.005)

    def heard(self, more: int = 30) -> None:
        """Wait for further answers."""
        wanted = len(self.answers) + more
        until(lambda: len(self.answers) >= wanted)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def over_target(server: Server, home: Path) -> tuple[Server, Path]:
    """A server that reads a push target as docs/release.md says, and the folder that it takes for the artifact."""
    (launch, *_) = [one for one in server.launches if one.in_python]
    if server.name == "flask_server":
        launch = replace(launch, env={**launch.env, "FLASK_SERVER_ARTIFACT": str(home)})
        return replace(server, launches=(launch,)), home
    return replace(server, launches=(launch,)), home / SERVING


def tell(running: LocalServer, requests: tuple[ProcedureRequest, ...], names: Mapping[str, object]) -> None:
    """Have a server serve another version, in the way that its server.toml declares."""
    for one in requests:
        answer = running.call(one.method, one.port, fill(one.path, names), WAIT_S)
        assert answer.status == 200, answer.body
    swap = read_declared(running.server).hot_swap
    assert swap is not None
    if swap.signal:
        running.send_signal(swap.signal)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flask_server", "tf_serving"])
def test_a_server_takes_what_is_pushed_and_goes_back(
    name: str, servers: Mapping[str, Server], artifact: Artifact, folder: Path, tmp_path: Path
) -> None:
    """No request is lost or answered wrongly on the way to version 2 and back; in between only version 2 answers."""
    built = artifacts_root() / NEXT / "digits" / "2"
    following = shutil.copytree(built, tmp_path / "next" / "2", ignore=shutil.ignore_patterns(FOLDER))
    target = tmp_path / "served"
    with open_target(target, "digits") as opened:
        push(blessed(folder, name), opened, [name])
        home = opened.home
    first = read_artifact(home / "1")
    server, reads = over_target(servers[name], home)
    running = start_local(server, replace(first, folder=reads), UNPINNED, any_port=True, timeout_s=WAIT_S)
    try:
        swap, names = read_declared(server).hot_swap, {"workload": "digits", "version": 1, "next": 2}
        assert swap is not None
        asker = Asker(running)
        asker.start()
        asker.heard()

        with open_target(target, "digits") as opened:
            assert push(blessed(following, name), opened, [name], max_drop=1.0).record.version == 2
        tell(running, swap.change.requests, names)
        of_second = read_artifact(home / "2")
        until(lambda: check_parity(running, of_second, ["rest"]).agrees)
        asker.heard()
        between = len(asker.answers)
        second = answers_of(running, first, 1)
        asker.heard()
        assert [one for payload, one in asker.answers[between:] if not second.matches(payload, one.body)] == []

        with open_target(target, "digits") as opened:
            assert opened.withdraw() == (2, 1)
        tell(running, swap.back, names)
        until(lambda: check_parity(running, first, ["rest"]).agrees)
        asker.heard()
        asker.over.set()
        asker.join()
        right = first.expectation()
        assert [one for _, one in asker.answers if one.status != 200] == []
        known = [right.matches(payload, one.body) for payload, one in asker.answers]
        assert all(ok or second.matches(*pair(one)) for ok, one in zip(known, asker.answers, strict=True))
        assert known[0]
        assert known[-1]
    finally:
        running.stop()


def pair(answer: tuple[int, Answer]) -> tuple[int, bytes]:
    """A payload and the body of its answer."""
    return answer[0], answer[1].body
