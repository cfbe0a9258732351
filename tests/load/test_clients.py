"""Several client processes: they begin together, and the process that started them keeps out of the way."""

import os
import time

import pytest

from loadtest.load.clients import ClientTask, Progress, run_clients
from loadtest.load.schedule import Closed, Constant
from loadtest.load.session import Phase
from loadtest.servers.expectation import Anything
from loadtest.wire.http1 import HttpTarget
from tests.wire.programmable import Programmable

MEASURED = Phase(Constant(100.0, 0.4), 1, 5.0)


def tasks(programmable: Programmable, *warmups_s: float) -> list[ClientTask]:
    """A process for each warm-up."""
    endpoint = HttpTarget.build(programmable.listen("fixed").url, [b""], Anything(), method="GET")
    return [ClientTask(endpoint, (Phase(Closed(length), 1, 5.0), MEASURED), 1, ()) for length in warmups_s]


def nothing(progress: Progress) -> None:
    """Nobody is told."""


def test_processes_begin_the_measured_phase_together(programmable: Programmable) -> None:
    """One is done with its warm-up seconds before the other: it waits, and both begin after both are ready."""
    ready: list[int] = []
    collected = run_clients(tasks(programmable, 0.2, 1.5), lambda: ready.append(time.monotonic_ns()), nothing)
    (at,) = ready
    for warmup, measured in collected:
        assert warmup.began < at < measured.began
        assert measured.tally.ok == 40
    long_warmup = collected[1][0]
    assert all(measured.began >= long_warmup.began + 1.5e9 for _, measured in collected)


def test_a_process_that_dies_before_the_start_ends_the_run(programmable: Programmable) -> None:
    """What goes wrong while the others wait is raised, and none of them waits on."""

    def fail() -> None:
        raise RuntimeError("the accounts cannot be read")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="the accounts cannot be read"):
        run_clients(tasks(programmable, 0.1, 0.2), fail, nothing)
    assert time.monotonic() - began < 60


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads are pinned on Linux only")
def test_the_starting_process_is_kept_on_its_cores_and_goes_back(programmable: Programmable) -> None:
    """While the run is under way it is where it was put; afterwards, and after an error, where it was."""
    before = os.sched_getaffinity(0)
    last = max(before)
    seen: list[set[int]] = []
    run_clients(tasks(programmable, 0.1), lambda: seen.append(os.sched_getaffinity(0)), lambda progress: None, (last,))
    assert seen == [{last}]
    assert os.sched_getaffinity(0) == before

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_clients(tasks(programmable, 0.1), fail, nothing, (last,))
    assert os.sched_getaffinity(0) == before
