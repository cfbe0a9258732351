"""Servers in containers are given other models, killed, and brought to their memory limit, beside the stack."""

from pathlib import Path

import pytest

from loadtest.resilience.process_end import MAIN, MEMORY, STOP, WORKER
from loadtest.resilience.resilience_file import Resilience, read_resilience
from loadtest.resilience.rollout_result import CORRUPT, TO_NEXT
from tests.stack.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def tried(stack: Stack, folder: Path, part: str, server: str) -> Resilience:
    """Runs a part and returns what it found; the stack goes on with the containers that it had."""
    before = {one.id for one in stack.containers()}
    options = ("--servers", server, "--launcher", "compose", "--quick", "--out", str(folder))
    done = stack.loadtest(part, *options)
    assert done.returncode == 0, done.stderr
    assert {one.id for one in stack.containers()} == before
    assert not stack.containers("-beside")
    return read_resilience(folder / "resilience.json").servers[server]


@pytest.mark.parametrize("server", ["flask_server", "torchserve"])
def test_a_new_version_costs_no_request(stack: Stack, tmp_path: Path, server: str) -> None:
    """The model is exchanged in a container of its own; management is reached from inside only."""
    found = tried(stack, tmp_path, "rollout", server).rollout
    assert found is not None
    assert found.faults == []
    steps = {step.change: step for step in found.steps}
    for change in (TO_NEXT, CORRUPT):
        assert steps[change].requests > 0
        assert (steps[change].mixed, steps[change].unwanted) == (0, 0)
    assert steps[TO_NEXT].first_s > 0
    assert steps[TO_NEXT].lost == {}


def test_what_ends_in_a_container_is_started_anew(stack: Stack, tmp_path: Path) -> None:
    """Worker and main process come back, and so does what the kernel ends at the memory limit; a stop is one."""
    found = tried(stack, tmp_path, "crash", "flask_server").crash
    assert found is not None
    ends = {one.ended: one for one in found}
    assert ends.keys() == {WORKER, MAIN, STOP, MEMORY}
    assert all(one.wrong == 0 for one in found)
    for one in (WORKER, MAIN, MEMORY):
        assert 0 < ends[one].recovered_s < float("inf")
    assert ends[MEMORY].held == 0
    assert ends[STOP].lost == {}
    assert ends[STOP].orphans == 0


def test_the_stand_in_bears_its_own_name(stack: Stack, tmp_path: Path) -> None:
    """What is in the container is what the page is about."""
    found = tried(stack, tmp_path, "leave", "tf_serving")
    assert found.label == "TF Serving API (embedded)"
    assert found.stands_in_for == "TensorFlow Serving"
    assert found.leave
