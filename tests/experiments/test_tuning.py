"""The search for a configuration, against simulated servers whose knobs are known to do something, in virtual time."""

import contextlib
import importlib.util
import math
import tomllib
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from loadtest.errors import MeasurementError, UsageError
from loadtest.experiments.capacity_search import find_capacity
from loadtest.experiments.proposals import Parzen, Space, proposals
from loadtest.experiments.simulated_queue import exponential, queue_run
from loadtest.experiments.tuning import TRIES, Measured, Observer, affordable, tune
from loadtest.judge.findings import FOREIGN_LOAD, Finding
from loadtest.judge.measured import MeasuredRun
from loadtest.judge.objective import Objective
from loadtest.judge.tuning_result import CONFIRMATION, FINAL, SEARCH, Outcome, Trial
from loadtest.servers.toml_table import TomlTable
from loadtest.servers.tuning_space import Configuration, Value, read_tuning_space

SLO = Objective.parse("p99<20ms")
MINUTE = 60.0
TRIAL_S = 10.0
KNOBS = """
[knobs.batch]
help = "decides"
from = 1
to = 16
scale = "log"
default = 1

[knobs.delay]
help = "decides a little"
values = [1, 10, 100]
default = 100
unless = { batch = 1 }

[knobs.idle]
help = "does nothing"
from = 1
to = 8
default = 2

[[apply]]
args = ["{knobs[batch]}"]
"""


def space_of(text: str = KNOBS) -> Space:
    """The configurations of a text."""
    return Space(read_tuning_space(TomlTable(tomllib.loads(text), "")), 1, {})


class Bench(Observer):
    """Servers with a virtual clock, whose starts differ from each other.

    Args:
        capacity: Of a configuration, requests per second.
        scatter: Standard deviation of its logarithm from start to start.
        seed: Of the scatter.
    """

    def __init__(self, capacity: Callable[[Mapping[str, Value]], float], scatter: float = 0.03, seed: int = 1) -> None:
        self.now = 0.0
        self.told: list[Trial] = []
        self.seeds: list[int] = []
        self.capacity, self._scatter = capacity, scatter
        self._random = np.random.default_rng(seed)

    def __call__(self, configuration: Configuration, seed: int, near: float) -> Measured:
        """Measure at once, for some virtual seconds."""
        self.now += TRIAL_S
        self.seeds.append(seed)
        return Measured(self.capacity(configuration) * math.exp(self._random.normal(0, self._scatter)), 100.0)

    def measured(self, trial: Trial) -> None:
        """Keep it."""
        self.told.append(trial)

    def tune(self, minutes: float, text: str = KNOBS, seed: int = 1) -> Outcome:
        """Tune with so long a budget."""
        return tune(space_of(text), self, budget_s=minutes * MINUTE, seed=seed, observer=self, clock=lambda: self.now)


def batching(configuration: Mapping[str, Value]) -> float:
    """A server that shares its work among the requests of a batch."""
    batch, delay = int(configuration["batch"]), int(configuration["delay"])
    return 500.0 * math.sqrt(batch) * (1 - 0.001 * delay * (batch > 1))


def test_the_best_configuration_is_found() -> None:
    """And what each knob is worth: the one that decides much, the one that does nothing little."""
    bench = Bench(batching)
    outcome = bench.tune(20)
    assert outcome.better
    assert outcome.tuned["batch"] == 16
    assert outcome.ratio.low > 3
    assert outcome.ratio.low <= batching(outcome.tuned) / batching(outcome.default) <= outcome.ratio.high
    worth = {one.name: one for one in outcome.worth}
    assert set(worth) == {name for name in outcome.tuned if outcome.tuned[name] != outcome.default[name]}
    assert worth["batch"].ratio.low > 3
    if "idle" in worth:
        assert worth["idle"].ratio.low < 1.05
    assert outcome.proposed_by.startswith("Optuna")


def test_real_searches_for_the_capacity_find_it_too() -> None:
    """M/M/1 with the project's own search in a short form: noisy, and good enough to tell twice as much."""

    def measure(configuration: Configuration, seed: int, near: float) -> Measured:
        service = exponential(0.002 / int(configuration["batch"]) ** 0.5)

        def run(rate: float, duration_s: float, probe_seed: int) -> MeasuredRun:
            return queue_run(rate, duration_s, probe_seed, service)

        found = find_capacity(
            lambda: contextlib.nullcontext(run), SLO, start=200.0, near=near, searches=2 if near else 1, probe_s=2.0
        )
        bench.now += TRIAL_S
        return Measured(found.rate_rps, 100.0)

    bench = Bench(batching)
    outcome = tune(space_of(), measure, budget_s=5 * MINUTE, clock=lambda: bench.now)
    assert outcome.better
    assert int(outcome.tuned["batch"]) >= 4
    assert outcome.ratio.low > 1.5


def test_knobs_that_do_nothing_leave_the_default() -> None:
    """The best of many noisy measurements looks better by chance; the confirmation is not taken in by it."""
    outcomes = [Bench(lambda _: 1_000.0, 0.10, seed).tune(10, seed=seed) for seed in range(20)]
    assert sum(outcome.better for outcome in outcomes) <= 2  # 2.5 in 100 are expected
    for outcome in outcomes:
        if not outcome.better:
            assert outcome.tuned == outcome.default
    looked = [max(one.capacity_rps for one in outcome.trials if one.stage == SEARCH) for outcome in outcomes]
    assert float(np.median(looked)) > 1_100  # what a search alone would have believed


def test_what_does_not_work_is_out_with_its_reason() -> None:
    """It does not end the search, and is never chosen; the others of the knob are tried."""
    bench = Bench(batching)

    def measure(configuration: Configuration, seed: int, near: float) -> Measured:
        found = bench(configuration, seed, near)
        return Measured(0.0, 3_000.0, out="its peak memory is above") if configuration["batch"] == 16 else found

    outcome = tune(space_of(), measure, budget_s=20 * MINUTE, observer=bench, clock=lambda: bench.now)
    assert {trial.out for trial in outcome.trials if trial.configuration["batch"] == 16} == {"its peak memory is above"}
    assert outcome.better
    assert outcome.tuned["batch"] == 8


def test_a_put_back_knob_that_does_not_work_is_told() -> None:
    """A knob may be what keeps a configuration within its limits."""
    text = KNOBS.replace("default = 2", "default = 8")
    bench = Bench(lambda one: 2_000.0 if one["batch"] == 16 and one["idle"] == 1 else 500.0)

    def measure(configuration: Configuration, seed: int, near: float) -> Measured:
        found = bench(configuration, seed, near)
        wide = configuration["batch"] == 16 and configuration["idle"] == 8
        return Measured(0.0, out="it ended with SIGKILL") if wide else found

    outcome = tune(space_of(text), measure, budget_s=60 * MINUTE, observer=bench, clock=lambda: bench.now)
    assert outcome.better
    worth = {one.name: one for one in outcome.worth}
    assert worth["idle"].out == "it ended with SIGKILL"
    assert not worth["idle"].ratio.known


@pytest.mark.parametrize("minutes", [0.1, 5, 30])
def test_the_budget_is_kept(minutes: float) -> None:
    """But for what is measured in any case: the default, a round of each stage, and three of the confirmation."""
    bench = Bench(batching)
    outcome = bench.tune(minutes)
    assert bench.now <= minutes * MINUTE + (1 + 2 * 3 + 3 * 2) * TRIAL_S
    stages = [trial.stage for trial in outcome.trials]
    assert stages == sorted(stages, key=[SEARCH, FINAL, CONFIRMATION].index)
    assert stages.count(SEARCH) <= affordable(minutes * MINUTE) * 15 / TRIAL_S + 1
    assert bench.told == outcome.trials
    assert [trial.number for trial in outcome.trials] == list(range(1, len(stages) + 1))


def test_rounds_are_interleaved_over_the_same_schedules() -> None:
    """Each round of the confirmation has every contestant once, with the same seed, in no fixed order."""
    bench = Bench(batching)
    outcome = bench.tune(30)
    rounds: dict[int, list[tuple[Value, ...]]] = {}
    seeds: dict[int, set[int]] = {}
    for trial, seed in zip(outcome.trials, bench.seeds, strict=True):
        if trial.stage == CONFIRMATION:
            rounds.setdefault(trial.round, []).append(tuple(trial.configuration.values()))
            seeds.setdefault(trial.round, set()).add(seed)
    assert len(rounds) >= 3
    assert len({frozenset(each) for each in rounds.values()}) == 1
    assert len({tuple(each) for each in rounds.values()}) > 1
    assert all(len(each) == 1 for each in seeds.values())
    assert len(set.union(*seeds.values())) == len(rounds)
    assert tuple(outcome.default.values()) in rounds[1]


def test_a_client_at_its_limit_decides_nothing() -> None:
    """A lower bound is no value: such a configuration gets into no later stage, however high it is."""
    bench = Bench(batching)

    def measure(configuration: Configuration, seed: int, near: float) -> Measured:
        found = bench(configuration, seed, near)
        limits = [Finding(FOREIGN_LOAD, {"share": 0.5})] if configuration["batch"] != 1 else []
        return Measured(found.capacity_rps, 100.0, limits=limits)

    outcome = tune(space_of(), measure, budget_s=10 * MINUTE, clock=lambda: bench.now)
    assert not outcome.better
    assert outcome.tuned == outcome.default
    assert any(trial.limits for trial in outcome.trials)
    assert {trial.configuration["batch"] for trial in outcome.trials if trial.stage != SEARCH} == {1}


def test_a_default_that_meets_the_objective_at_no_rate_is_beaten() -> None:
    """There is no ratio to zero."""
    outcome = Bench(lambda one: 0.0 if one["batch"] == 1 else 300.0).tune(10)
    assert outcome.better
    assert outcome.tuned["batch"] != 1


def test_a_default_that_cannot_be_measured_ends_it() -> None:
    """With the reason, after one measurement."""
    bench = Bench(batching)

    def out(configuration: Configuration, seed: int, near: float) -> Measured:
        bench(configuration, seed, near)
        return Measured(0.0, out="port 8080 is in use")

    with pytest.raises(MeasurementError, match="default configuration cannot be measured: port 8080 is in use"):
        tune(space_of(), out, budget_s=MINUTE, clock=lambda: bench.now)
    busy = [Finding(FOREIGN_LOAD, {"share": 0.5})]
    told = Bench(batching)
    with pytest.raises(MeasurementError) as refused:
        tune(space_of(), lambda *_: Measured(math.nan, limits=busy), budget_s=MINUTE, observer=told)
    assert list(refused.value.findings) == busy
    assert len(told.told) == TRIES


def test_few_configurations_are_all_tried_once() -> None:
    """A grid, and with it no need of Optuna; the search then ends before its time."""
    text = KNOBS.replace("to = 8", "to = 2")
    outcome = Bench(batching).tune(60, text)
    assert outcome.proposed_by == "grid"
    tried = [tuple(one.configuration.values()) for one in outcome.trials if one.stage == SEARCH]
    assert sorted(tried) == sorted(tuple(one.values()) for one in space_of(text).all())


def test_the_optimiser_asks_for_nothing_twice() -> None:
    """And comes to an end where all was tried."""
    space = space_of()
    asked = Parzen(space, 10, 1)
    seen = []
    asked.tell(space.default, 1.0)
    while (configuration := asked.ask()) is not None:
        seen.append(tuple(configuration.values()))
        asked.tell(configuration, math.nan if len(seen) == 3 else float(len(seen)))
    assert len(seen) == len(set(seen))
    assert tuple(space.default.values()) not in seen
    assert len(seen) > 10


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before anything starts; a grid goes on without."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs Optuna: pip install .*'\.\[tune\]', or raise --budget") as refused:
        proposals(space_of(), 5, 1)
    assert "\n" not in str(refused.value)
    assert proposals(space_of(KNOBS.replace("to = 8", "to = 2")), 100, 1).name == "grid"


def test_an_interrupted_search_has_told_what_it_measured() -> None:
    """Ctrl-C goes through at once; each measurement was told before the next one began."""
    bench = Bench(batching)

    def interrupted(configuration: Configuration, seed: int, near: float) -> Measured:
        if len(bench.told) == 3:
            raise KeyboardInterrupt
        return bench(configuration, seed, near)

    with pytest.raises(KeyboardInterrupt):
        tune(space_of(), interrupted, budget_s=10 * MINUTE, observer=bench, clock=lambda: bench.now)
    assert [trial.number for trial in bench.told] == [1, 2, 3]
