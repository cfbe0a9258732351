"""Typed records and their JSON: the dataclasses that a program works with are what a result file holds.

A record is a frozen dataclass. msgspec writes it, reads it back with a check of every type, and draws its JSON Schema
from the same definition, so the three cannot disagree.
"""

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import msgspec

from loadtest.errors import UsageError

RecordT = TypeVar("RecordT")

if TYPE_CHECKING:
    Number: TypeAlias = float
else:

    class Number(float):
        """A field's type where a value may be unknown or infinite.

        JSON has neither NaN nor infinity: what is unknown is null, and infinity is the string that Protocol Buffers'
        JSON mapping has for it.
        """


DRAFT = "https://json-schema.org/draft/2020-12/schema"
INFINITY = "Infinity"


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A field's type for a number of things: not below 0."""

_NUMBER_LISTS = re.compile(rb"\[\n[-+.,\s\deE]+\]")


def to_json(record: object) -> bytes:
    """The JSON of a record, for people to read: one name a line, and a list of numbers on one line."""
    text = msgspec.json.format(msgspec.json.encode(_plain(record)), indent=1)
    # No string is touched: JSON has no line breaks inside of strings.
    return _NUMBER_LISTS.sub(lambda found: b"".join(found[0].split()).replace(b",", b", "), text) + b"\n"


def to_line(record: object, **before: object) -> bytes:
    """The JSON of a record on one line, without a line break: for a file that grows by a line for each record.

    Args:
        record: A dataclass.
        before: Further names, which come first, such as what kind of line it is.
    """
    return msgspec.json.encode({**before, **_plain(record)})


def from_json(text: bytes, kind: type[RecordT], name: str) -> RecordT:
    """Read a record; names that its type does not know are passed over.

    Args:
        text: JSON.
        kind: Type of the record.
        name: What the text is called in an error, such as the path of its file.

    Raises:
        UsageError: If the text is not JSON, or a value in it is missing or of another type.
    """
    try:
        return msgspec.json.decode(text, type=kind, dec_hook=_read_number)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name} does not keep its schema: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} is not JSON: {error}") from error


def json_schema(kind: type) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a record."""
    schema: dict[str, Any] = msgspec.json.schema(kind, schema_hook=_number_schema)
    return {"$schema": DRAFT, **schema}


def lines_schema(kinds: Mapping[str, type], tag: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a line that is one of several records.

    Args:
        kinds: The records, by what the line says that it is.
        tag: Name under which it says so.
    """
    shapes, definitions = msgspec.json.schema_components(kinds.values(), schema_hook=_number_schema)
    lines = [
        {"allOf": [shape, {"properties": {tag: {"const": name}}, "required": [tag]}]}
        for name, shape in zip(kinds, shapes, strict=True)
    ]
    return {"$schema": DRAFT, "oneOf": lines, "$defs": definitions}


def _plain(record: object) -> Any:
    """A record made of what JSON has."""
    return _without_infinity(msgspec.to_builtins(record, enc_hook=_plain_float))


def _without_infinity(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_infinity(one) for name, one in value.items()}
    if isinstance(value, list) and not (value and isinstance(value[0], int)):  # no histogram's counts are walked
        return [_without_infinity(one) for one in value]
    return INFINITY if value == math.inf else value


def _plain_float(value: Any) -> float:
    if isinstance(value, float):  # NumPy's, and `Number`
        return float(value)
    raise NotImplementedError(f"a record cannot hold {value!r}")


def _read_number(kind: type, value: Any) -> Any:
    if value is None:
        return Number(math.nan)
    if value == INFINITY:
        return Number(math.inf)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Number(value)
    raise ValueError(f"Expected `number | null`, got `{type(value).__name__}`")


def _number_schema(kind: type) -> dict[str, Any]:
    return {"anyOf": [{"type": ["number", "null"]}, {"const": INFINITY}]}
