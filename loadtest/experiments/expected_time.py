"""How long a comparison takes, from its plan alone: the shortest and the longest time that it may be expected to."""

from dataclasses import dataclass

from loadtest.experiments.layer_run import LENGTH_S
from loadtest.experiments.turn import GATE_S
from loadtest.judge.comparison_plan import ComparisonPlan
from loadtest.load.steadiness import WARM_S


@dataclass(frozen=True)
class Expected:
    """A range of time, in seconds.

    Attributes:
        low: Where servers start soon and are warm at the first look.
        high: Where they start slowly and every warm-up lasts as long as it may. Runs that are taken again, rounds that
            ``--until`` adds, and images that are built come on top.
    """

    low: float
    high: float

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(self.low + other.low, self.high + other.high)

    def times(self, count: int) -> "Expected":
        """So many of them, one after the other."""
        return Expected(self.low * count, self.high * count)

    def __str__(self) -> str:
        low, high = max(round(self.low / 60), 1), max(round(self.high / 60), 1)
        return f"{high} minute{'s' if high > 1 else ''}" if low == high else f"{low} to {high} minutes"


START = Expected(1.5, 10.0)
"""From the start of a server to its first correct answer, and its end."""
FORWARD = Expected(5.0, 20.0)
"""The forward pass alone, of both frameworks."""
AUDIT = Expected(4.0, 30.0)
"""Parity and the caching audit."""
CAPACITY = Expected(60.0, 360.0)
"""The search of one server's capacity."""


def expected_time(plan: ComparisonPlan, servers: int) -> Expected:
    """The time that a whole comparison may be expected to take.

    Args:
        plan: What is done, as long as no run has to be stretched.
        servers: How many servers are compared.
    """
    return (
        FORWARD
        + (START + _warm_up(plan) + Expected(GATE_S, GATE_S) + AUDIT).times(servers)
        + rounds_time(plan, servers)
    )


def rounds_time(plan: ComparisonPlan, servers: int) -> Expected:
    """The time that is left once the gate is passed.

    Args:
        plan: What is done, with the lengths that the common rate asks for.
        servers: How many servers passed.
    """
    halves = 1 + len(plan.curve)  # the closed loop, and the runs of the load curve, are half as long
    length_s = plan.duration_s * (1 + halves / 2)
    one_round = START + _warm_up(plan).times(1 + halves) + Expected(length_s, length_s)
    layers = START + _warm_up(plan) + Expected(LENGTH_S, LENGTH_S)
    one_server = one_round.times(plan.rounds) + CAPACITY.times(bool(plan.slo)) + layers.times(plan.layers)
    return one_server.times(servers)


def _warm_up(plan: ComparisonPlan) -> Expected:
    return Expected(min(plan.warmup_s, WARM_S), plan.warmup_s)
