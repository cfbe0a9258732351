"""Tensors in JSON: what is quick to read must be what is right to read."""

import json
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tf_serving.embedded import json_body, json_predict, json_values
from tf_serving.embedded.errors import ServingError
from tf_serving.embedded.servable import SignatureTensor

DTYPES = {
    "float": "float32",
    "double": "float64",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint32": "uint32",
    "bool": "bool",
}

LEAVES = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.just({"b64": "AA=="}),
)
NUMBERS = st.one_of(st.integers(0, 200), st.floats(width=32), st.booleans())
VALUES = st.one_of(
    [st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=12) for leaves in (LEAVES, NUMBERS)]
)


def spec(type_name: str) -> SignatureTensor:
    """A tensor of that type and any shape."""
    return SignatureTensor("x", "x:0", np.dtype(DTYPES[type_name]), type_name, None)


def read(value: Any, type_name: str, has_booleans: bool) -> Any:
    """The array, or None for a value that is refused."""
    try:
        return json_values.tensor(value, spec(type_name), has_booleans)
    except ServingError:
        return None


def has_boolean(value: Any) -> bool:
    """Whether true or false is anywhere in it."""
    return any(map(has_boolean, value)) if isinstance(value, list) else isinstance(value, bool)


@settings(max_examples=500)
@given(VALUES, st.sampled_from(sorted(DTYPES)))
def test_the_quick_way_agrees_with_the_strict_way(value: Any, type_name: str) -> None:
    """NumPy's conversion gives the same array, or refuses the same values, as going through them one by one."""
    quick = read(value, type_name, has_boolean(value))
    shape = json_values._shape(value)
    try:
        flat = list(json_values._leaves(value, shape, spec(type_name)))
        strict = json_values._array(flat, shape, spec(type_name))
    except ServingError:
        strict = None
    assert (quick is None) == (strict is None)
    if strict is not None:
        assert quick.dtype == strict.dtype
        assert np.array_equal(quick, strict, equal_nan=type_name in ("float", "double"))


ARRAYS = st.one_of(
    hnp.arrays("float32", hnp.array_shapes(max_dims=3), elements=st.floats(width=32)),
    hnp.arrays("float64", hnp.array_shapes(max_dims=3), elements=st.floats(width=64)),
)


@given(ARRAYS)
def test_floats_survive_the_answer(array: Any) -> None:
    """Written and read again they are the same, NaN and infinities too, by row and by column."""
    for by_row, key in ((True, "predictions"), (False, "outputs")):
        found = json.loads(json_predict.write({"y": array}, by_row))[key]
        assert np.array_equal(np.array(found, dtype=array.dtype), array, equal_nan=True)


def test_an_array_need_not_be_contiguous() -> None:
    """A slice of a batch, or a transposed one, is written like any other."""
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert json.loads(json_predict.write({"y": array.T}, True)) == {"predictions": [[0, 3], [1, 4], [2, 5]]}
    assert json.loads(json_predict.write({"y": array[:, 1]}, False)) == {"outputs": [1, 4]}


def test_outputs_of_different_length_have_no_rows() -> None:
    """By row they are refused, by column they are not."""
    outputs = {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}
    with pytest.raises(ServingError, match="Tensor name: b has inconsistent batch size: 3 expecting: 2"):
        json_predict.write(outputs, True)
    assert json.loads(json_predict.write(outputs, False)) == {"outputs": {"a": [0.0] * 2, "b": [0.0] * 3}}


def column(*texts: bytes) -> Any:
    """Strings as a model answers them."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def test_text_that_is_not_utf_8_is_passed_through() -> None:
    """The real server writes the bytes of a string as they are."""
    assert json_predict.write({"s": column(b"\xffz")}, True) == b'{"predictions": ["\xffz"]}'


@pytest.mark.parametrize(
    ("outputs", "by_row", "expected"),
    [
        (
            {"y": np.array([[0.1, 1 / 3], [2, 1e-7]], np.float32)},
            True,
            {"predictions": [[0.1, 0.33333334], [2.0, 1e-07]]},
        ),
        ({"y": np.array([[0.1, 1 / 3], [2, 1e-7]])}, False, {"outputs": [[0.1, 0.3333333333333333], [2.0, 1e-07]]}),
        (
            {"a": np.array([[[1, 2]]], np.int8), "b": np.array([True]), "c_bytes": column(b"\xff")},
            True,
            {"predictions": [{"a": [[1, 2]], "b": True, "c_bytes": {"b64": "/w=="}}]},
        ),
        (
            {"a": np.array([[[1, 2]]], np.int8), "b": np.array([True]), "c": np.array([0.1], np.float32)},
            True,
            {"predictions": [{"a": [[1, 2]], "b": True, "c": 0.1}]},
        ),
        (
            {"a": np.array(9000000, np.float32), "b": np.zeros((2, 0), np.int64), "c_bytes": column(b"a")},
            False,
            {"outputs": {"a": 9e06, "b": [[], []], "c_bytes": [{"b64": "YQ=="}]}},
        ),
        ({"s": column(b'"\n', b"z")}, True, {"predictions": ['"\n', "z"]}),
        ({"y": np.zeros((0, 2), np.float32)}, True, {"predictions": []}),
    ],
)
def test_answers_have_the_real_servers_form(outputs: Any, by_row: bool, expected: Any) -> None:
    """Named only where there are several outputs; by row an object for each instance; bytes as base64."""
    assert json.loads(json_predict.write(outputs, by_row)) == expected


def test_a_float32_has_only_the_digits_it_needs() -> None:
    """0.1 is not 0.10000000149011612, which would be the same number in more than twice the bytes."""
    assert (
        json_predict.write({"y": np.array([[0.1, 1 / 3]], np.float32)}, True) == b'{"predictions":[[0.1,0.33333334]]}'
    )


def test_what_follows_the_document_is_a_fault() -> None:
    """The real parser wants nothing but white space after the object."""
    assert json_body.parse(b' {"instances": [1]} ') == {"instances": [1]}
    with pytest.raises(ServingError, match="JSON Parse error: "):
        json_body.parse(b'{"instances": [1]} trailing')


def test_an_escaped_backslash_is_no_surrogate() -> None:
    """Of the text backslash-u, and of a pair, nothing is refused, whichever parser reads it."""
    assert json_body.parse(rb'{"a": "\\ud800 \ud83d\ude00", "b": NaN}')["a"] == "\\ud800 \U0001f600"


def test_numbers_beyond_the_type() -> None:
    """Infinity for a double too large for float32, as in C; the narrow integers wrap, the others are a fault."""
    assert json_values.tensor([1e39], spec("float"), False).tolist() == [math.inf]
    assert json_values.tensor([256, -1], spec("uint8"), False).tolist() == [0, 255]
    for value, type_name in ((2**31, "uint8"), (2**31, "int32"), (-1, "uint32")):
        with pytest.raises(ServingError):
            json_values.tensor([value], spec(type_name), False)


def test_an_error_shows_only_the_beginning_of_a_large_value() -> None:
    """A message about a body of megabytes stays short."""
    assert len(json_body.excerpt({"instances": list(range(1_000_000))})) == 256


def test_one_long_text_among_numbers_takes_no_more_than_itself() -> None:
    """NumPy would give each number as much memory as the text needs: four megabytes."""
    tracemalloc.start()
    try:
        with pytest.raises(ServingError, match="Type: String is not of expected type: float"):
            json_values.stack([[0, 1], ["x" * 1_000_000, 1]], spec("float"), has_booleans=False, keyed=False)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
