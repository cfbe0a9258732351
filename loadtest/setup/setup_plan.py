"""What is measured of each server."""

from dataclasses import dataclass
from typing import Literal

from loadtest.errors import UsageError

MOST_REPEATS = 100
Probes = Literal["full", "quick", "none"]


@dataclass(frozen=True)
class SetupPlan:
    """What is measured of each server.

    Without repeats, probes and a cold start no server is started: only what can be read from files is counted.

    Attributes:
        repeat: Warm starts that are made to be timed.
        probes: Which capabilities are tried out; ``quick`` leaves out what starts the server again with other settings.
        cold: Whether a cold start is made too.
        clean_cache: Whether it leaves the caches of pip, or of the image builder, aside.

    Raises:
        UsageError: If it makes no sense.
    """

    repeat: int = 3
    probes: Probes = "full"
    cold: bool = False
    clean_cache: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.repeat <= MOST_REPEATS:
            raise UsageError(f"the starts must be repeated 0 to {MOST_REPEATS} times, not {self.repeat}")
        if self.clean_cache and not self.cold:
            raise UsageError("--clean-cache is for --cold: a warm start installs nothing")

    @property
    def starts_servers(self) -> bool:
        """Whether it starts servers, which takes a launcher that can."""
        return bool(self.repeat or self.cold or self.probes != "none")
