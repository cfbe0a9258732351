"""What the machine did during a run: steal counts on the cores in use, and the parent keeps off the measured ones."""

import os
import time

import pytest

from loadtest.experiments import measured_run
from loadtest.machine.host import CoreTimes
from loadtest.machine.placement import UNPINNED, Placement

PINNED = Placement((0,), (1,))


class Machine:
    """Four cores, of one of which the hypervisor takes all the time."""

    def __init__(self, stolen: int) -> None:
        self.now, self._stolen = 100.0, stolen

    def monotonic(self) -> float:
        """Its clock."""
        return self.now

    def read_cores(self, cores: tuple[int, ...]) -> CoreTimes:
        """Steal so far on these cores, on all where none is named."""
        return CoreTimes(busy=0.0, steal=self.now if self._stolen in (cores or range(4)) else 0.0)


@pytest.mark.parametrize(
    ("placement", "stolen", "share"), [(PINNED, 3, 0.0), (PINNED, 0, 0.5), (PINNED, 1, 0.5), (UNPINNED, 3, 0.25)]
)
def test_steal_is_counted_on_the_cores_in_use(
    placement: Placement, stolen: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken from a core on which nothing is measured spoils no run; half of the two in use does."""
    machine = Machine(stolen)
    monkeypatch.setattr(measured_run, "read_cores", machine.read_cores)
    monkeypatch.setattr(time, "monotonic", machine.monotonic)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    readings = measured_run._Readings(placement, None)
    readings.open()
    machine.now += 8.0
    readings.close()
    assert readings.steal_share() == pytest.approx(share)


@pytest.mark.parametrize(("cores", "expected"), [({0, 1}, (1,)), ({0, 1, 2, 3}, (2, 3))])
def test_the_parent_keeps_off_the_measured_cores(
    cores: set[int], expected: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes what is left, and where nothing is left the client's core."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores)
    assert measured_run._beside(PINNED) == expected
    assert measured_run._beside(UNPINNED) == ()
