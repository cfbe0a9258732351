"""Records: what is written is read back, null stands for what is not known, and faults say where they are."""

import dataclasses
import json
import math

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from loadtest.errors import UsageError
from loadtest.records import Number, from_json, json_schema, to_json


@dataclasses.dataclass(frozen=True)
class Part:
    """A record inside of a record."""

    name: str
    size: Number
    counts: list[int]


@dataclasses.dataclass(frozen=True)
class Whole:
    """A record."""

    parts: list[Part]
    shares: dict[str, Number]
    of_old: Part | None = None


WHOLE = Whole([Part("a", math.nan, [1, 2, 3]), Part("b, [\n1]", 2.5, [])], {"x": math.nan, "y": 1.0})


def same(one: object, two: object) -> bool:
    """Whether two records are equal, NaN being equal to NaN."""
    return repr(one) == repr(two)


def test_what_is_written_is_read_back() -> None:
    """Unknown numbers are null in the text and NaN in the record, at any depth."""
    text = to_json(WHOLE)
    assert text.count(b"null") == 3, "two unknown numbers and a part that is not there"
    assert same(from_json(text, Whole, "it"), WHOLE)


def test_an_infinite_number_is_read_back() -> None:
    """JSON has no infinity: it is the string that Protocol Buffers' mapping has, which the schema allows."""
    record = Whole([Part("a", math.inf, [1])], {"x": math.inf})
    text = to_json(record)
    assert json.loads(text)["shares"] == {"x": "Infinity"}
    assert from_json(text, Whole, "it") == record
    Draft202012Validator(json_schema(Whole)).validate(json.loads(text))


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    """Statistics return NumPy's floats; a record may hold them."""
    assert from_json(to_json(Part("a", np.float64(0.1), [])), Part, "it").size == 0.1


def test_a_list_of_numbers_stays_on_one_line() -> None:
    """A distribution of a thousand numbers does not take a thousand lines."""
    assert b'"counts": [1, 2, 3]' in to_json(WHOLE)


def test_names_of_a_later_release_are_passed_over() -> None:
    """A file with one name more is read."""
    assert same(from_json(to_json(WHOLE).replace(b"{", b'{"later": {"a": 1},', 1), Whole, "it"), WHOLE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"parts": "many", "shares": {}}', "it does not keep its schema: Expected `array`, got `str` - at `$.parts`"),
        (b'{"parts": [{"name": "a", "counts": []}], "shares": {}}', "missing required field `size` - at `$.parts[0]`"),
        (b'{"parts": [], "shares": {"x": true}}', "Expected `number | null`, got `bool` - at `$.shares"),
        (b'{"parts": [', "it is not JSON"),
        (b"\xff", "it is not JSON"),
    ],
)
def test_a_fault_says_where_it_is(text: bytes, told: str) -> None:
    """One line names the file, the place, and what was expected there."""
    with pytest.raises(UsageError) as failure:
        from_json(text, Whole, "it")
    assert told in str(failure.value)
    assert "\n" not in str(failure.value)


def test_the_schema_takes_what_is_written() -> None:
    """The schema is drawn from the same definition: an outside validator agrees with it."""
    validator = Draft202012Validator(json_schema(Whole))
    document = json.loads(to_json(WHOLE))
    assert validator.is_valid(document)
    document["parts"][0]["size"] = "large"
    assert not validator.is_valid(document)
