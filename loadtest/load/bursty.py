"""Bursty arrivals: gaps that vary more, or less, than those of independent users."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from loadtest.errors import UsageError
from loadtest.load.schedule import BLOCK, NS, Schedule, check_plan

MAX_CV = 20.0


@dataclass(frozen=True)
class Gamma:
    """Gaps from a gamma distribution with a mean of ``1 / tempo`` and a coefficient of variation.

    With a coefficient of 1 this is a Poisson process; above 1 requests come in bursts with lulls between them, below 1
    they come more evenly. Traces of serving systems show coefficients well above 1 (Li et al., AlpaServe, OSDI 2023).
    The first gap is that of a process which began long ago (a uniform share of a length-biased gap: Cox, Renewal
    Theory, 1962, section 5.1), so that every stretch of it has the mean rate.

    Attributes:
        tempo: Requests per second of the whole plan.
        duration_s: Length, in seconds.
        cv: Standard deviation of the gaps as a share of their mean.
        first: Number of the first request of the plan that is due here.
        every: From there on every so many requests are.
    """

    tempo: float
    duration_s: float
    cv: float
    first: int = 0
    every: int = 1
    kind: str = "gamma"
    dealt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_plan(self.tempo, self.duration_s)
        if not (math.isfinite(self.cv) and 0 < self.cv <= MAX_CV):
            raise UsageError(f"the coefficient of variation must be above 0 and at most {MAX_CV:g}, not {self.cv}")

    @property
    def rate(self) -> float:
        """The rate at which its own requests come, in requests per second."""
        return self.tempo / self.every

    def times(self, seed: int) -> Iterator[int]:
        """Yield cumulative sums of the gaps until the duration is over; of the whole plan those that are due here."""
        random = np.random.default_rng(seed)
        form = 1 / self.cv**2
        scale, end, drawn = NS / self.tempo / form, self.duration_s * NS, 0
        block = np.array([random.uniform() * random.gamma(form + 1, scale)])
        while True:
            here = block[(self.first - drawn) % self.every :: self.every]
            yield from here[here < end].astype(np.int64).tolist()
            drawn += block.size
            start = float(block[-1])
            if start >= end:
                return
            block = start + np.cumsum(random.gamma(form, scale, BLOCK))

    def split(self, parts: int) -> Sequence[Schedule]:
        """Deal the requests out in turn: several such processes together would be less bursty than one."""
        return [
            Gamma(self.tempo, self.duration_s, self.cv, self.first + part * self.every, self.every * parts)
            for part in range(parts)
        ]


def variation(schedule: object) -> float | None:
    """The coefficient of variation that a schedule names; None where it names none."""
    return schedule.cv if isinstance(schedule, Gamma) else None
