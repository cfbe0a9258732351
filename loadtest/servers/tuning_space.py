r"""What can be tuned of a server: the optional table ``[tune]`` of its server.toml.

    [tune.knobs.workers]
    help = "processes, each with a model of its own"
    from = 1
    to_per_core = 4
    default_per_core = 1

    [[tune.apply]]
    args = ["--workers", "{knobs[workers]}"]
    env = { THREADS = "{knobs[threads]}" }
    files = { "server.env" = "THREADS={knobs[threads]}\n" }

A knob has a list of ``values``, or whole numbers ``from`` … ``to`` (``scale = "log"``: each twice the one before). Its
``default`` is what the server uses where nothing is set; ``to_per_core`` and ``default_per_core`` count for each core
that the server has. The order of the knobs is that of their importance: the first ones are looked into first.

An ``[[tune.apply]]`` says how a configuration reaches the server: words that follow its command, variables, and files
of the folder ``{tuned}``. Parts of one file follow each other. ``when = { batching = "on" }`` bounds a knob or an apply
to configurations in which other knobs have that value, or one of a list; ``unless`` excludes them. Both may ask for
``shapes`` and ``workload`` too. A knob that does not count has its default.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from loadtest.servers.toml_table import TomlTable

Value: TypeAlias = int | str
Configuration: TypeAlias = Mapping[str, Value]
"""A value for each knob, by its name."""

NAMES = ("shapes", "workload")
"""What a condition may ask for beside knobs."""

MOST_VALUES = 64
DOUBLING = 2


@dataclass(frozen=True)
class Condition:
    """In which configurations something counts.

    Attributes:
        when: Values of which each of these names must have one.
        unless: Values of which each of these names must have none.
    """

    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    unless: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def holds(self, known: Mapping[str, Value]) -> bool:
        """Whether it holds where the names have these values."""
        return all(known.get(name) in values for name, values in self.when.items()) and not any(
            known.get(name) in values for name, values in self.unless.items()
        )

    @property
    def names(self) -> set[str]:
        """The names that it asks for."""
        return {*self.when, *self.unless}


@dataclass(frozen=True)
class Knob:
    """One setting of a server.

    Attributes:
        name: What configurations and templates call it.
        help: What it does, in half a sentence.
        listed: Its values; empty where they are a range of whole numbers.
        first: Lowest value of the range.
        last: Highest value of the range; of each core where `last_per_core`.
        last_per_core: See `last`.
        doubling: Whether each value of the range is twice the one before.
        usual: What the server uses where nothing is set; for each core where `usual_per_core`.
        usual_per_core: See `usual`.
        condition: In which configurations it counts.
    """

    name: str
    help: str
    listed: tuple[Value, ...]
    first: int
    last: int
    last_per_core: bool
    doubling: bool
    usual: Value
    usual_per_core: bool
    condition: Condition

    def default(self, cores: int) -> Value:
        """What the server uses where nothing is set.

        Args:
            cores: Cores that the server has.
        """
        return self.usual * cores if self.usual_per_core and isinstance(self.usual, int) else self.usual

    def values(self, cores: int) -> tuple[Value, ...]:
        """Every value that is tried, numbers in ascending order; the default is one of them."""
        default = self.default(cores)
        last = self.last * cores if self.last_per_core else self.last
        values: tuple[Value, ...] = self.listed or tuple(self._range(last))
        if default not in values:
            values = (*values, default)
        numbers = [value for value in values if isinstance(value, int)]
        return tuple(sorted(numbers)) if len(numbers) == len(values) else values

    def _range(self, last: int) -> list[int]:
        if not self.doubling:
            return list(range(self.first, last + 1))
        return [self.first * DOUBLING**step for step in range(int(math.log2(max(last / self.first, 1))) + 1)]


@dataclass(frozen=True)
class Apply:
    """How a configuration reaches the server.

    Attributes:
        args: Templates of the words that follow its command.
        env: Template of each variable.
        files: Template of each file, by its name in the folder ``{tuned}``.
        condition: In which configurations it counts.
    """

    args: tuple[str, ...]
    env: Mapping[str, str]
    files: Mapping[str, str]
    condition: Condition


@dataclass(frozen=True)
class TuningSpace:
    """The knobs of a server, and how they reach it.

    Attributes:
        knobs: The more important ones first.
        applies: In the order in which they count.
    """

    knobs: tuple[Knob, ...]
    applies: tuple[Apply, ...]

    def knob(self, name: str) -> Knob:
        """The knob of that name."""
        return next(knob for knob in self.knobs if knob.name == name)

    def default(self, cores: int) -> dict[str, Value]:
        """The configuration in which each knob has its default.

        Args:
            cores: Cores that the server has.
        """
        return {knob.name: knob.default(cores) for knob in self.knobs}

    def settled(self, values: Configuration, cores: int, names: Mapping[str, Value]) -> dict[str, Value]:
        """A configuration in which every knob that does not count has its default: two that do the same are equal.

        Args:
            values: A value for each knob.
            cores: Cores that the server has.
            names: The values of `NAMES`.
        """
        found = dict(values)
        for knob in self.knobs:  # a condition asks for knobs that stand before it
            if not knob.condition.holds({**names, **found}):
                found[knob.name] = knob.default(cores)
        return {knob.name: found[knob.name] for knob in self.knobs}


def read_tuning_space(table: TomlTable) -> TuningSpace:
    """Read the table ``[tune]``.

    Raises:
        ValueError: If it has an unknown key, a value of another type, an empty range, or a condition on a knob that
            does not stand before.
    """
    table.only("knobs", "apply")
    knobs: list[Knob] = []
    for name, one in table.tables_by_name("knobs").items():
        knobs.append(_knob(name, one, {knob.name for knob in knobs}))
    if not knobs:
        raise ValueError(f"{table.place('knobs')} is empty")
    known = {knob.name for knob in knobs}
    return TuningSpace(tuple(knobs), tuple(_apply(one, known) for one in table.tables("apply")))


def _knob(name: str, table: TomlTable, before: set[str]) -> Knob:
    place = table.place("").rstrip(".")
    range_keys = ("from", "to", "to_per_core", "scale")
    table.only("help", "values", *range_keys, "default", "default_per_core", "when", "unless")
    listed = _values(table, "values") if "values" in table.values else ()
    if bool(listed) == any(key in table.values for key in range_keys):
        raise ValueError(f"{table.place('values')}: a knob has either values, or from and to or to_per_core")
    first, last, last_per_core = 1, 1, False
    if not listed:
        first = _whole(table, "from")
        _, last, last_per_core = _one_of(table, "to", "to_per_core")
        if not 1 <= first <= last:
            raise ValueError(f"{table.place('from')} must be from 1 to the end of the range, {last}, not {first}")
    scale = table.text("scale", "linear")
    if scale not in ("linear", "log"):
        raise ValueError(f"{table.place('scale')} must be linear or log, not {scale!r}")
    key, usual, usual_per_core = _one_of(table, "default", "default_per_core", text=True)
    if listed and isinstance(usual, str) != isinstance(listed[0], str):
        raise ValueError(f"{table.place(key)} must be of the type of the values, not {usual!r}")
    if not listed and isinstance(usual, str):
        raise ValueError(f"{table.place(key)} must be a whole number, not {usual!r}")
    knob = Knob(
        name=name,
        help=table.text("help"),
        listed=listed,
        first=first,
        last=last,
        last_per_core=last_per_core,
        doubling=scale == "log",
        usual=usual,
        usual_per_core=usual_per_core,
        condition=_condition(table, before),
    )
    if len(knob.values(1)) > MOST_VALUES:
        raise ValueError(f"{place} has more than {MOST_VALUES} values: list them, or give it a log scale")
    return knob


def _apply(table: TomlTable, known: set[str]) -> Apply:
    table.only("args", "env", "files", "when", "unless")
    return Apply(
        args=table.texts("args", ()),
        env=table.texts_by_name("env"),
        files=table.texts_by_name("files"),
        condition=_condition(table, known),
    )


def _condition(table: TomlTable, known: set[str]) -> Condition:
    found: dict[str, dict[str, tuple[Value, ...]]] = {"when": {}, "unless": {}}
    for key, conditions in found.items():
        asked = table.table(key, {})
        asked.only(*sorted(known), *NAMES)
        for name, value in asked.values.items():
            several = TomlTable({name: value if isinstance(value, list) else [value]}, table.place(key))
            conditions[name] = _values(several, name)
    return Condition(found["when"], found["unless"])


def _values(table: TomlTable, key: str) -> tuple[Value, ...]:
    values = table.values[key]
    if not isinstance(values, list) or not values or not all(_is_value(value) for value in values):
        raise ValueError(f"{table.place(key)} must be a list of whole numbers or of strings, not {values!r}")
    if len({type(value) for value in values}) > 1 or len(set(values)) < len(values):
        raise ValueError(f"{table.place(key)} must hold different values of one type, not {values!r}")
    return tuple(values)


def _is_value(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _whole(table: TomlTable, key: str) -> int:
    value = table.values.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{table.place(key)} must be a whole number, not {value!r}")
    return value


def _one_of(table: TomlTable, key: str, per_core: str, *, text: bool = False) -> tuple[str, Any, bool]:
    """The one of two keys that is there, its value, and whether it is the one for each core."""
    if (key in table.values) == (per_core in table.values):
        raise ValueError(f"{table.place(key)}: give either {key} or {per_core}")
    if per_core in table.values:
        return per_core, _whole(table, per_core), True
    value = table.values[key]
    return key, value if text and isinstance(value, str) else _whole(table, key), False
