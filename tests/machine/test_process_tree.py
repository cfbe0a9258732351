"""A process tree of real processes: who is in it, what it uses, and that it can be killed whole."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from loadtest.machine.process_tree import kill_processes, open_descriptors, private_memory, process_tree, tree_usage

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """Process ids of a parent and of its child."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    yield parent.pid, child
    for pid in (parent.pid, child):
        if psutil.pid_exists(pid):
            kill_processes([psutil.Process(pid)], 10)
    parent.wait()
    parent.stdout.close()


def test_the_tree_begins_with_the_process_itself(family: tuple[int, int]) -> None:
    """And holds its descendants."""
    assert tuple(process.pid for process in process_tree(family[0])) == family


def test_usage_counts_the_whole_tree(family: tuple[int, int]) -> None:
    """Two processes, each with memory of its own."""
    usage, alone = tree_usage(family[0]), tree_usage(family[1])
    assert (usage.processes, alone.processes) == (2, 1)
    assert usage.threads >= 2
    assert usage.peak_mib > alone.peak_mib > 0
    assert usage.cpu_s > alone.cpu_s >= 0


def test_a_child_is_killed_after_its_parent_has_gone(family: tuple[int, int]) -> None:
    """The tree was listed while the parent was alive; afterwards nothing leads to the child."""
    tree = process_tree(family[0])
    kill_processes(tree[:1], 10)
    assert psutil.Process(family[1]).status() != psutil.STATUS_ZOMBIE
    kill_processes(tree, 10)
    # A killed orphan stays in the process table until init reaps it.
    assert all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in tree)


def test_a_process_that_is_gone_has_no_tree_and_used_nothing() -> None:
    """Nothing is raised, since a server may end at any moment."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert process_tree(gone.pid) == []
    usage = tree_usage(gone.pid)
    assert (usage.cpu_s, usage.peak_mib, usage.processes) == (0.0, 0.0, 0)


def test_descriptors_and_memory_of_its_own_are_those_of_the_whole_tree(family: tuple[int, int]) -> None:
    """More than those of the child alone; a tree that is gone has neither."""
    parent, child = family
    assert open_descriptors(parent) > open_descriptors(child) >= 3
    assert private_memory(parent) > private_memory(child) > 1_000_000
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert (open_descriptors(gone.pid), private_memory(gone.pid)) == (0, 0.0)
