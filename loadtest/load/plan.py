"""How an endpoint is put under load: the schedule, and what goes with it."""

import math
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.load.schedule import MAX_DURATION_S, Closed, Schedule, check_connections


@dataclass(frozen=True)
class Load:
    """How an endpoint is put under load.

    Attributes:
        schedule: The plan of the measured phase.
        warmup_s: The warm-up before it is a closed loop over the same connections that ends when the server is steady,
            and after so many seconds at the latest; 0 for none. Its requests are not counted.
        connections: Connections of all processes together.
        processes: Client processes.
        seed: Seed of the schedule; the warm-up and every further process draw from seeds derived from it.
        timeout_s: Limit for one request, in seconds.
        kernel_stamps: Whether the kernel is asked when each answer came in, which makes for a slower client.
        impatient: Whether a request that finds no free connection within its limit is given up and not sent.
        window_s: Length of a stretch of the time line, in seconds; None for one that goes with the schedule's.
    """

    schedule: Schedule | Closed
    warmup_s: float = 10.0
    connections: int = 16
    processes: int = 1
    seed: int = 1
    timeout_s: float = 10.0
    kernel_stamps: bool = False
    impatient: bool = False
    window_s: float | None = None

    @property
    def requests(self) -> float:
        """How many requests will hardly be exceeded, in all processes; infinite where the server sets the pace.

        Four standard deviations above the mean of a Poisson process.
        """
        mean = self.schedule.rate * self.schedule.duration_s
        return math.ceil(mean + 4 * math.sqrt(mean)) if mean else math.inf

    def __post_init__(self) -> None:
        check_connections(self.connections)
        if not 1 <= self.processes <= self.connections:
            raise UsageError(
                f"processes must be between 1 and the {self.connections} connections, not {self.processes}"
            )
        if not (0 <= self.warmup_s <= MAX_DURATION_S and 0 < self.timeout_s <= MAX_DURATION_S):
            raise UsageError(
                "the warm-up must not be below 0 seconds, the timeout must be above 0, both at most a week"
            )
        if self.seed < 0:
            raise UsageError(f"the seed must not be below 0, but is {self.seed}")
