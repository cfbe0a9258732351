"""Tuning a server: the configuration of its knobs with the highest capacity, and what each of them is worth.

A single measurement of a capacity is noisy, and the best of many noisy ones is too good by chance. So there are three
stages, each with measurements of its own:

1. The search looks at many configurations once, the default first.
2. The final measures the best few again, in interleaved rounds, and picks one.
3. The confirmation starts anew: the default, the one that was picked, and that one with one knob at a time put back to
   its default, in interleaved rounds. It alone decides whether the tuned configuration is better, by the interval of
   the ratio over the rounds, and what each knob is worth. What chose the winner takes no part in judging it.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadtest.errors import MeasurementError
from loadtest.experiments.proposals import Proposals, Space, key, proposals
from loadtest.judge.findings import Finding
from loadtest.judge.intervals import MIN_ROUNDS, NOT_KNOWN, Estimate, geometric_estimate, paired_ratio
from loadtest.judge.tuning_result import CONFIRMATION, FINAL, SEARCH, KnobWorth, Outcome, Trial
from loadtest.servers.tuning_space import Configuration, Value

SEARCH_SHARE, FINAL_SHARE = 0.5, 0.65
"""When the search and the final end, as shares of the budget; the rest is the confirmation's."""

TRIAL_S = 15.0
"""About how long one measurement takes: how many the budget holds is reckoned from it before the first one."""

FINALISTS, FINAL_ROUNDS = 3, 2
WITHIN = 0.75
"""A finalist reached at least this share of the best one's capacity in the search."""

TRIES = 3
"""A default that the client or the host kept from being measured is measured again up to this many times in all."""

MOST_ROUNDS = 8
SEEDS = 100
"""Seeds between two rounds: more than one measurement uses."""


@dataclass(frozen=True)
class Measured:
    """One measurement; see the attributes of `Trial`."""

    capacity_rps: float
    peak_mib: float = math.nan
    out: str = ""
    limits: list[Finding] = field(default_factory=list)


Measure = Callable[[Configuration, int, float], Measured]
"""Measures a configuration: with schedules from this seed on; near this capacity, or anywhere if it is 0."""


class Observer:
    """Is told how tuning goes on; the default tells nobody."""

    def stage(self, text: str) -> None:
        """A new measurement begins."""

    def measured(self, trial: Trial) -> None:
        """A measurement is over: it may be saved."""


def affordable(budget_s: float) -> int:
    """How many configurations the search can try in a budget of so many seconds."""
    return max(1, int(SEARCH_SHARE * budget_s / TRIAL_S))


def tune(
    space: Space,
    measure: Measure,
    *,
    budget_s: float,
    seed: int = 1,
    observer: Observer | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Search, and confirm what was found.

    Args:
        space: The configurations.
        measure: Measures one.
        budget_s: About how long it may take, in seconds. What is under way is not cut off, and the confirmation has
            three rounds in any case.
        seed: Of the schedules, and of what is drawn.
        observer: Who is told.
        clock: Seconds, monotonic.

    Raises:
        UsageError: If the search needs Optuna and it is not installed.
        MeasurementError: If the default configuration cannot be measured.
    """
    asked = proposals(space, affordable(budget_s), seed)
    return _Tuner(space, measure, asked, budget_s, seed, observer or Observer(), clock).run()


class _Tuner:
    def __init__(
        self,
        space: Space,
        measure: Measure,
        asked: Proposals,
        budget_s: float,
        seed: int,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self._space, self._measure, self._asked = space, measure, asked
        self._seed, self._observer, self._clock = seed, observer, clock
        self._began, self._budget_s = clock(), budget_s
        self._order = random.Random(seed)
        self._trials: list[Trial] = []

    def run(self) -> Outcome:
        default = self._space.default
        self._search()
        best = self._final(self._finalists())
        if best is None:
            return self._outcome(default, default, [])
        changed = [name for name in default if best[name] != default[name]]
        affordable = int(self._left_s / (MIN_ROUNDS * self._typical_s)) - 2
        backs = {name: self._space.settled({**best, name: default[name]}) for name in changed[: max(affordable, 0)]}
        self._confirm([default, best, *backs.values()])
        worth = [self._worth(name, best, backs.get(name)) for name in changed]
        return self._outcome(default, best, worth)

    def _search(self) -> None:
        for _ in range(TRIES):
            first = self._try(SEARCH, 0, self._space.default, "search: the default")
            if not math.isnan(first.capacity_rps):
                break
        if first.out or math.isnan(first.capacity_rps):
            reason = first.out or "no probe was valid"
            raise MeasurementError(f"the default configuration cannot be measured: {reason}", first.limits)
        self._asked.tell(first.configuration, _value(first))
        number = 1
        while self._clock() - self._began < SEARCH_SHARE * self._budget_s:
            configuration = self._asked.ask()
            if configuration is None:
                return
            number += 1
            trial = self._try(SEARCH, 0, configuration, f"search: configuration {number}")
            self._asked.tell(configuration, _value(trial))

    def _finalists(self) -> list[dict[str, Value]]:
        """The best few of the search beside the default."""
        usable = [trial for trial in self._trials if _value(trial) > 0 and trial.configuration != self._space.default]
        usable.sort(key=lambda trial: -trial.capacity_rps)
        return [
            trial.configuration for trial in usable[:FINALISTS] if trial.capacity_rps >= WITHIN * usable[0].capacity_rps
        ]

    def _final(self, finalists: Sequence[dict[str, Value]]) -> dict[str, Value] | None:
        if len(finalists) < 2:
            return finalists[0] if finalists else None
        number = 0
        while number < FINAL_ROUNDS or (
            number < MOST_ROUNDS
            and self._left_s - len(finalists) * self._typical_s > (1 - FINAL_SHARE) * self._budget_s
        ):
            number += 1
            self._round(FINAL, number, finalists)
        means = [
            0.0 if self._out(FINAL, one) else geometric_estimate(list(self._values(FINAL, one).values())).value
            for one in finalists
        ]
        best = max(range(len(finalists)), key=lambda at: (not math.isnan(means[at]), means[at]))
        return finalists[best] if means[best] > 0 else None

    def _confirm(self, contestants: Sequence[dict[str, Value]]) -> None:
        different = list({key(one): one for one in contestants}.values())
        number = 0
        while number < MIN_ROUNDS or (number < MOST_ROUNDS and self._left_s > len(different) * self._typical_s):
            number += 1
            self._round(CONFIRMATION, number, different)

    def _round(self, stage: str, number: int, configurations: Sequence[dict[str, Value]]) -> None:
        """Each once, in a drawn order, with the same schedules."""
        for configuration in self._order.sample(configurations, len(configurations)):
            if not self._out(stage, configuration):  # it would be out again
                self._try(stage, number, configuration, f"{stage}: round {number}")

    def _try(self, stage: str, number: int, configuration: dict[str, Value], text: str) -> Trial:
        self._observer.stage(text)
        began = self._clock()
        rounds = {SEARCH: 0, FINAL: 100, CONFIRMATION: 200}[stage] + number
        found = self._measure(configuration, self._seed * 100_000 + SEEDS * rounds, self._known(configuration))
        trial = Trial(
            number=len(self._trials) + 1,
            stage=stage,
            round=number,
            configuration=configuration,
            capacity_rps=found.capacity_rps,
            peak_mib=found.peak_mib,
            took_s=self._clock() - began,
            out=found.out,
            limits=found.limits,
        )
        self._trials.append(trial)
        self._observer.measured(trial)
        return trial

    def _known(self, configuration: Configuration) -> float:
        """About what the capacity of a configuration is; 0 where it was not measured, or was only bounded."""
        known = [
            float(one.capacity_rps) for one in self._trials if one.configuration == configuration and _value(one) > 0
        ]
        return statistics.median(known) if known else 0.0

    def _of(self, stage: str, configuration: Configuration) -> list[Trial]:
        return [one for one in self._trials if one.stage == stage and one.configuration == configuration]

    def _out(self, stage: str, configuration: Configuration) -> str:
        """Why a configuration is out in a stage; empty where it is not."""
        return next((one.out for one in self._of(stage, configuration) if one.out), "")

    def _values(self, stage: str, configuration: Configuration) -> dict[int, float]:
        """Capacity by round; NaN where the client or the host was at its limit."""
        return {one.round: _value(one) for one in self._of(stage, configuration)}

    @property
    def _left_s(self) -> float:
        return self._began + self._budget_s - self._clock()

    @property
    def _typical_s(self) -> float:
        return max(statistics.median(float(trial.took_s) for trial in self._trials), 0.001)

    def _worth(self, name: str, best: dict[str, Value], back: dict[str, Value] | None) -> KnobWorth:
        default = self._space.default[name]
        if back is None:
            return KnobWorth(name, default, best[name])
        ratio = paired_ratio(self._values(CONFIRMATION, best), self._values(CONFIRMATION, back))
        out = self._out(CONFIRMATION, back)
        return KnobWorth(name, default, best[name], NOT_KNOWN if out else ratio, out)

    def _outcome(self, default: dict[str, Value], best: dict[str, Value], worth: list[KnobWorth]) -> Outcome:
        ours, theirs = self._values(CONFIRMATION, best), self._values(CONFIRMATION, default)
        ratio = NOT_KNOWN if best == default else paired_ratio(ours, theirs)
        fails = bool(theirs) and not any(theirs.values()) and all(value > 0 for value in ours.values())
        better = best != default and not self._out(CONFIRMATION, best) and (ratio.low > 1 or fails)
        return Outcome(
            default=default,
            tuned=best if better else default,
            better=better,
            default_rps=_estimate(theirs or self._values(SEARCH, default)),
            tuned_rps=_estimate(ours),
            ratio=ratio,
            worth=worth,
            trials=self._trials,
            proposed_by=self._asked.name,
            configurations=self._space.size,
        )


def _value(trial: Trial) -> float:
    """The capacity; NaN where the client or the host was at its limit, so that it is only a lower bound."""
    return math.nan if trial.limits else float(trial.capacity_rps)


def _estimate(values: dict[int, float]) -> Estimate:
    return geometric_estimate(list(values.values()))
