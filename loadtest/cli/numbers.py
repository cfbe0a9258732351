"""Types of the numeric options: a number out of range ends the command in one line, before anything is started."""

from typing import Any

import click

from loadtest.errors import UsageError
from loadtest.load.bursty import MAX_CV
from loadtest.load.schedule import MAX_CONNECTIONS, MAX_DURATION_S, MAX_RATE


class Number(click.ParamType):  # type: ignore[type-arg]  # it takes none before click 8.4
    """A number within bounds; infinity and NaN are within none.

    Args:
        kind: ``int`` or ``float``.
        low: Smallest value.
        high: Largest value.
        above: Whether the smallest value itself is excluded.
        unit: What is counted, for the message.
    """

    def __init__(self, kind: type[int] | type[float], low: float, high: float, unit: str = "", *, above: bool = False):
        self.name = "integer" if kind is int else "number"
        self._kind, self._low, self._high, self._unit, self._above = kind, low, high, unit, above

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        """Read the number, or raise `UsageError` naming the option and its bounds."""
        try:
            number = self._kind(value)
        except (ValueError, OverflowError):
            number = float("nan")
        if self._low < number <= self._high or (number == self._low and not self._above):
            return number
        option = param.opts[0] if param else "it"
        raise UsageError(f"{option} must be {self}, not {value!r}")

    def __str__(self) -> str:
        whole = "a whole number " if self._kind is int else ""
        low, high = f"{self._low:,}", f"{self._high:,.10g}"
        bounds = f"above {low} and at most {high}" if self._above else f"from {low} to {high}"
        return f"{whole}{bounds} {self._unit}".rstrip()


class Several(click.ParamType):  # type: ignore[type-arg]  # as above
    """Numbers of one type with a sign between them.

    Args:
        number: The type of each.
        sign: What stands between two.
    """

    def __init__(self, number: Number, sign: str = ",") -> None:
        self.name = number.name
        self._number, self._sign = number, sign

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int | float, ...]:
        """Read each of them."""
        return tuple(self._number.convert(part.strip(), param, ctx) for part in value.split(self._sign))


SECONDS = Number(float, 0, MAX_DURATION_S, "seconds", above=True)
SECONDS_OR_NONE = Number(float, 0, MAX_DURATION_S, "seconds")
MINUTES = Number(float, 0, MAX_DURATION_S / 60, "minutes", above=True)
RATE = Number(float, 0, MAX_RATE, "requests per second", above=True)
CONNECTIONS = Number(int, 1, MAX_CONNECTIONS)
COUNT = Number(int, 1, 1_000_000)
REQUESTS = Number(int, 1, 1_000_000_000, "requests")
COUNT_OR_NONE = Number(int, 0, 1_000_000_000)
SEED = Number(int, 0, 2**32 - 1)
CV = Number(float, 0, MAX_CV, above=True)
STRETCH = Number(float, 0, 1_000_000, above=True)
PRECISION = Number(float, 0.001, 0.9)
"""Relative width of a bracket: a finer one than a thousandth is never reached."""
