"""What real processes hold: memory of their own, descriptors, threads, in the whole tree."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from loadtest.machine.holdings import Holdings, descriptors_of, tree_holdings
from loadtest.machine.usage import Usage

GROWING = """
import os, subprocess, sys, threading
waiting = [sys.executable, "-c", "print(flush=True); input()"]
child = subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
for line in sys.stdin:
    kept = b"x" * (40 * 2**20), [os.dup(0) for _ in range(20)]
    for _ in range(3):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    print("grown", flush=True)
child.kill()
child.wait()
os._exit(0)
"""


@pytest.fixture
def growing() -> Iterator["subprocess.Popen[str]"]:
    """A process with a child, that takes more with each line that it reads."""
    process = subprocess.Popen(
        [sys.executable, "-c", GROWING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    yield process
    process.communicate()


def test_what_is_taken_is_held(growing: "subprocess.Popen[str]") -> None:
    """40 MiB, 20 descriptors and 3 threads more, in a tree of two processes."""
    assert growing.stdin is not None
    assert growing.stdout is not None
    found = []
    for _ in range(2):
        growing.stdin.write("\n")
        growing.stdout.readline()
        found.append(tree_holdings(growing.pid))
    before, after = found
    assert after.processes == before.processes == 2
    assert after.descriptors is not None
    assert before.descriptors is not None
    assert after.threads - before.threads == 3
    assert after.resident_mib > after.own_mib > 40
    # What was kept before is given back but for its descriptors.
    assert after.descriptors - before.descriptors == 20


def test_a_process_that_is_gone_holds_nothing() -> None:
    """Nothing is raised, since a server may end at any moment."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert tree_holdings(gone.pid) == Holdings(0.0, 0.0, 0, 0, 0)
    assert descriptors_of([gone.pid]) == 0


def test_descriptors_are_counted_by_process_id() -> None:
    """Of this process: one more with each that is opened."""
    before = descriptors_of([os.getpid()])
    more = os.dup(0)
    try:
        assert before is not None
        assert descriptors_of([os.getpid()]) == before + 1
    finally:
        os.close(more)


def test_from_a_usage_alone_the_rest_is_not_known() -> None:
    """As of a container of an Engine on another machine."""
    held = Holdings.of_usage(Usage(1.0, 300.0, 200.0, 2, 9), float("nan"), None)
    assert (held.resident_mib, held.descriptors, held.threads, held.processes) == (200.0, None, 9, 2)
