"""Which configuration is tried next: all of them in a drawn order where there are few, else what an optimiser asks for.

The optimiser is Optuna's tree-structured Parzen estimator, asked and told (Bergstra et al., Algorithms for
Hyper-Parameter Optimization, NIPS 2011). It models where good and where bad values lie and not the values themselves,
so that the noise of single measurements does little harm. A knob's values are numbered in their order: a scale that
doubles is a logarithmic one to it.
"""

import importlib.util
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from loadtest.errors import UsageError
from loadtest.servers.tuning_space import Configuration, TuningSpace, Value

FIRST_DRAWN = 10
"""At most so many configurations are drawn evenly before the optimiser has a say; a third of all that can be tried."""

REPEATS = 10
"""An optimiser that names so often in a row what was tried already knows no more: one is drawn evenly in its place."""

DRAWS = 200
"""Where so many drawn ones in a row were tried already, nothing is left."""


class Proposals(Protocol):
    """Says what to try."""

    name: str

    def ask(self) -> dict[str, Value] | None:
        """A configuration that was not tried, or None where nothing is left."""

    def tell(self, configuration: Configuration, value: float) -> None:
        """Learn what a configuration is worth, the more the better; NaN where that is not known."""


class Space:
    """The different configurations of a server under given surroundings.

    Args:
        space: Its knobs.
        cores: Cores that it has.
        names: What conditions may ask for beside knobs.
    """

    def __init__(self, space: TuningSpace, cores: int, names: Mapping[str, Value]) -> None:
        self._space, self._cores, self._names = space, cores, names
        self.values = {knob.name: knob.values(cores) for knob in space.knobs}
        self.default = self.settled(space.default(cores))

    def settled(self, values: Configuration) -> dict[str, Value]:
        """With every knob that does not count at its default."""
        return self._space.settled(values, self._cores, self._names)

    def all(self) -> Iterator[dict[str, Value]]:
        """Each once."""
        seen: set[tuple[Value, ...]] = set()
        for chosen in itertools.product(*self.values.values()):
            settled = self.settled(dict(zip(self.values, chosen, strict=True)))
            if key(settled) not in seen:
                seen.add(key(settled))
                yield settled

    @property
    def size(self) -> int:
        """How many combinations of values there are; of those that do the same, each is counted."""
        return math.prod(map(len, self.values.values()))


def key(configuration: Configuration) -> tuple[Value, ...]:
    """By what a configuration is known; two of one space are equal where their keys are."""
    return tuple(configuration.values())


def proposals(space: Space, affordable: int, seed: int) -> Proposals:
    """A grid where all configurations can be tried, else the optimiser.

    Args:
        space: What there is.
        affordable: How many can be tried.
        seed: Of what is drawn.

    Raises:
        UsageError: If the optimiser is needed and is not installed.
    """
    few = list(itertools.islice(space.all(), affordable + 1)) if space.size <= 64 * affordable else []
    if few and len(few) <= affordable:
        return Grid(few, seed)
    if importlib.util.find_spec("optuna") is None:
        raise UsageError(
            f"{space.size:,} configurations are more than the budget holds, and the search among them needs Optuna: "
            "pip install -c constraints.txt -e '.[tune]', or raise --budget"
        )
    return Parzen(space, affordable, seed)


class Grid:
    """All configurations in a drawn order."""

    def __init__(self, configurations: list[dict[str, Value]], seed: int) -> None:
        self._left = random.Random(seed).sample(configurations, len(configurations))
        self._tried: set[tuple[Value, ...]] = set()
        self.name = "grid"

    def ask(self) -> dict[str, Value] | None:
        """The next one that was not tried."""
        while self._left:
            configuration = self._left.pop()
            if key(configuration) not in self._tried:
                return configuration
        return None

    def tell(self, configuration: Configuration, value: float) -> None:
        """Note that it was tried."""
        self._tried.add(key(configuration))


class Parzen:
    """Optuna's tree-structured Parzen estimator."""

    def __init__(self, space: Space, affordable: int, seed: int) -> None:
        # Imported here: it is an extra, and a grid does without.
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._optuna, self._random = space, optuna, random.Random(seed)
        drawn = max(2, min(FIRST_DRAWN, affordable // 3))
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=drawn, multivariate=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._ranges: dict[str, Any] = {
            name: optuna.distributions.IntDistribution(0, len(values) - 1)
            if isinstance(values[0], int)
            else optuna.distributions.CategoricalDistribution(range(len(values)))
            for name, values in space.values.items()
        }
        self._worth: dict[tuple[Value, ...], float] = {}
        self._asked: dict[tuple[Value, ...], Any] = {}
        self.name = f"Optuna {optuna.__version__}, TPE"

    def ask(self) -> dict[str, Value] | None:
        """What it asks for, if that was not tried; of what was, it is told again. After some repeats, any other one."""
        for _ in range(REPEATS):
            trial = self._study.ask(self._ranges)
            chosen = {name: values[trial.params[name]] for name, values in self._space.values.items()}
            settled = self._space.settled(chosen)
            if key(settled) not in self._worth:
                self._asked[key(settled)] = trial
                return settled
            self._study.tell(trial, self._worth[key(settled)])
        for _ in range(DRAWS):
            settled = self._space.settled(
                {name: self._random.choice(each) for name, each in self._space.values.items()}
            )
            if key(settled) not in self._worth:
                return settled
        return None

    def tell(self, configuration: Configuration, value: float) -> None:
        """Tell it what a configuration is worth, also one that it did not ask for."""
        trial = self._asked.pop(key(configuration), None)
        # Of one that cannot be measured nothing is learnt, but that it is not to be tried again.
        self._worth[key(configuration)] = 0.0 if math.isnan(value) else value
        if math.isnan(value):
            if trial is not None:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            return
        if trial is not None:
            self._study.tell(trial, value)
            return
        params = {name: values.index(configuration[name]) for name, values in self._space.values.items()}
        self._study.add_trial(self._optuna.trial.create_trial(params=params, distributions=self._ranges, value=value))
