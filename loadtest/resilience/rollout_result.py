"""What was seen while a version of a model took the place of another."""

import math
from dataclasses import dataclass

from loadtest.records import Count, Number
from loadtest.setup.probes.capability import Exchange

TO_NEXT, BACK, CORRUPT, OTHER_MODEL = "to the next version", "back", "a corrupt next version", "another model"
"""The changes. The last two are broken versions, of which no answer may be seen."""


@dataclass(frozen=True)
class RolloutPlan:
    """How a rollout is tried out.

    Attributes:
        rate: Requests per second all the while, as a Poisson process.
        connections: Connections of the client.
        batch: Instances in one request: an answer whose instances are of different versions is wrong.
        lead_s: Seconds of load before each change, and after it has come to its end.
        most_s: How long a change is waited for.
        hold_s: How long a broken version is given to do harm.
        seed: Of the schedule.
    """

    rate: float = 100.0
    connections: int = 8
    batch: int = 4
    lead_s: float = 3.0
    most_s: float = 60.0
    hold_s: float = 8.0
    seed: int = 1


@dataclass(frozen=True)
class RolloutStep:
    """One change under load.

    Attributes:
        change: Which.
        requests: Requests of the whole step.
        lost: Those without an answer, or refused, by kind.
        mixed: Answers that were neither version's.
        unwanted: Answers of a version that should not answer: of a broken one, and after the end of the change.
        first_s: Seconds from the beginning of the change to the first answer of the version that is to serve; NaN where
            there was none.
        only_s: Seconds from there to the last answer of the other one: from then on only one version answers.
        before_p99_ms: 99th percentile of the response time before the change.
        during_p99_ms: The same from its beginning until only one version answered, in whole seconds.
        during_max_ms: The longest response time then.
        before_mib: Memory of the server before the change.
        peak_mib: The most that was seen in the step.
        evidence: What was done, and what the server said to it.
    """

    change: str
    requests: Count
    lost: dict[str, Count]
    mixed: Count
    unwanted: Count
    first_s: Number
    only_s: Number
    before_p99_ms: Number
    during_p99_ms: Number
    during_max_ms: Number
    before_mib: Number
    peak_mib: Number
    evidence: tuple[Exchange, ...]

    @property
    def held(self) -> bool:
        """Whether no request was lost, no answer mixed versions, and the right version answered in the end."""
        arrived = not math.isnan(self.first_s) or self.change in (CORRUPT, OTHER_MODEL)
        return arrived and not self.lost and not self.mixed and not self.unwanted


@dataclass(frozen=True)
class Canary:
    """Both versions side by side, each at an address of its own.

    Attributes:
        share: Share of the requests that went to the next version.
        present: Requests to the present version.
        next: Requests to the next one.
        lost: Those without an answer, or refused, by kind.
        wrong: Answers that were not of the version that was asked.
        setting: What it takes beyond how this project starts the server.
    """

    share: float
    present: Count
    next: Count
    lost: dict[str, Count]
    wrong: Count
    setting: str


@dataclass(frozen=True)
class Rollout:
    """What was seen of a server.

    Attributes:
        plan: How it was tried out.
        setting: What a change takes beyond how this project starts the server.
        steps: The changes in their order.
        canary: None where the server has no address for a version.
        faults: What kept a step from being tried out.
    """

    plan: RolloutPlan
    setting: str
    steps: list[RolloutStep]
    canary: Canary | None
    faults: list[str]
