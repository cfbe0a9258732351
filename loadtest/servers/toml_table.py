"""Values of a TOML file, each read as what it has to be; what is something else is named with its place."""

from collections.abc import Mapping
from typing import Any


class TomlTable:
    """A table of a TOML file, whose keys are asked for one by one.

    Every method raises `ValueError` where a value is missing or of another type.

    Args:
        values: What the parser made of it.
        place: Where it stands, such as ``ready``; nothing for the whole file.
    """

    def __init__(self, values: object, place: str = "") -> None:
        if not isinstance(values, Mapping):
            raise ValueError(f"{place} must be a table, not {values!r}")
        self.values: Mapping[str, Any] = values
        self._place = place

    def place(self, key: str) -> str:
        """Name a key in a message: ``ready.port``."""
        return f"{self._place}.{key}" if self._place else key

    def only(self, *known: str) -> None:
        """Refuse a key that is none of these."""
        for key in self.values:
            if key not in known:
                raise ValueError(f"{self.place(key)} is not known; there are: {', '.join(known)}")

    def text(self, key: str, default: str | None = None) -> str:
        """Read a string."""
        return _text(self.values.get(key, default), self.place(key))

    def flag(self, key: str, default: bool) -> bool:
        """Read true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise ValueError(f"{self.place(key)} must be true or false, not {value!r}")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Read a list of strings."""
        values = self.values.get(key, default)
        if not isinstance(values, list | tuple):
            raise ValueError(f"{self.place(key)} must be a list of strings, not {values!r}")
        return tuple(_text(value, f"{self.place(key)}[{at}]") for at, value in enumerate(values))

    def texts_by_name(self, key: str) -> dict[str, str]:
        """Read a table of strings; empty where it is missing."""
        table = self.table(key, {})
        return {name: table.text(name) for name in table.values}

    def table(self, key: str, default: Mapping[str, Any] | None = None) -> "TomlTable":
        """Read a table."""
        return TomlTable(self.values.get(key, default), self.place(key))

    def tables_by_name(self, key: str) -> dict[str, "TomlTable"]:
        """Read a table of tables; empty where it is missing."""
        table = self.table(key, {})
        return {name: table.table(name) for name in table.values}

    def tables(self, key: str) -> list["TomlTable"]:
        """Read a list of one table or more."""
        values = self.values.get(key)
        if not isinstance(values, list) or not values:
            raise ValueError(f"{self.place(key)} must be a list of tables, not {values!r}")
        return [TomlTable(value, f"{self.place(key)}[{at}]") for at, value in enumerate(values)]


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{place} must be a string, not {value!r}")
    return value
