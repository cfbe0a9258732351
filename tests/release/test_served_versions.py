"""Servers that run over a push target take what is pushed, and go back, while requests go on."""

import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.experiments.parity import check_parity
from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.resilience.parts import NEXT
from loadtest.resilience.version_witness import answers_of
from loadtest.servers.artifact import Artifact, artifacts_root, read_artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import Answer
from release.blessing import FOLDER
from release.push import push
from release.push_target import SERVING, open_target
from tests.release.conftest import WAIT_S, blessed, until


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


@pytest.mark.slow
def test_a_running_server_takes_what_is_pushed_and_goes_back(
    servers: Mapping[str, Server], artifact: Artifact, folder: Path, tmp_path: Path
) -> None:
    """TensorFlow Serving's interface looks into the target by itself.

    No request is lost or answered wrongly on the way to version 2 and back; in between only version 2 answers.
    """
    built = artifacts_root() / NEXT / "digits" / "2"
    following = shutil.copytree(built, tmp_path / "next" / "2", ignore=shutil.ignore_patterns(FOLDER))
    target, name = tmp_path / "served", "tf_serving"
    with open_target(target, "digits") as opened:
        push(blessed(folder, name), opened, [name])
        home = opened.home
    first = read_artifact(home / "1")
    served = replace(first, folder=home / SERVING)
    running = start_local(servers[name], served, UNPINNED, any_port=True, timeout_s=WAIT_S)
    try:
        asker = Asker(running)
        asker.start()
        asker.heard()

        with open_target(target, "digits") as opened:
            assert push(blessed(following, name), opened, [name], max_drop=1.0).record.version == 2
        of_second = read_artifact(home / "2")
        until(lambda: check_parity(running, of_second, ["rest"]).agrees)
        asker.heard()
        between = len(asker.answers)
        second = answers_of(running, first, 1)
        asker.heard()
        assert [one for payload, one in asker.answers[between:] if not second.matches(payload, one.body)] == []

        with open_target(target, "digits") as opened:
            assert opened.withdraw() == (2, 1)
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
