"""What was found of one server."""

from dataclasses import dataclass

from loadtest.setup.cold_start import ColdStart
from loadtest.setup.disk_size import DiskSize
from loadtest.setup.idle_processes import IdleProcesses
from loadtest.setup.looked_up import LookedUpFact
from loadtest.setup.probes.capability import CapabilityCell
from loadtest.setup.start_times import WarmStarts
from loadtest.setup.written_files import WrittenByHand


@dataclass(frozen=True)
class TimeToCorrect:
    """The time to the first correct answer; None for a start that was not made or failed."""

    warm: WarmStarts | None = None
    cold: ColdStart | None = None


@dataclass(frozen=True, kw_only=True)
class ServerSetup:
    """The ease of setup of one server; what could not be found is None, and `faults` says why.

    Attributes:
        label: What tables call it.
        stands_in_for: What it stands in for; None where it is the server itself.
        runtime: The framework of its model.
        faults: What went wrong, a line each.
        timeline: Its starts.
        size: What it needs on disk.
        written: What a person writes.
        idle_processes: What runs when it idles.
        capabilities: A cell for every capability, or none where they were not probed.
        facts: What was looked up.
    """

    label: str
    stands_in_for: str | None = None
    runtime: str
    faults: tuple[str, ...] = ()
    timeline: TimeToCorrect
    size: DiskSize
    written: WrittenByHand
    idle_processes: IdleProcesses | None
    capabilities: tuple[CapabilityCell, ...]
    facts: tuple[LookedUpFact, ...]
