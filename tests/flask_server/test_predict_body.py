import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flask_server.predict_body import InvalidRequest, encode_predictions, parse_instances

SHAPE = (2, 3)
MOST = 4
IMAGE = [[0, 0.5, 1], [1, 0, 0]]

FAULTS = [
    (b"", "not valid JSON"),
    (b'{"instances": [', "not valid JSON"),
    (b"\xff\xfe\x00", "not valid JSON"),
    (b"[" * 100_000, "not valid JSON"),
    (b"null", 'with a list "instances"'),
    (b"[]", 'with a list "instances"'),
    (b'{"inputs": []}', 'with a list "instances"'),
    (b'{"instances": []}', "at least one"),
    (b'{"instances": {"a": 1}}', "at least one"),
    (json.dumps({"instances": [IMAGE[0]]}).encode(), r"instances[0] has shape [3], expected numbers of shape [2, 3]"),
    (json.dumps({"instances": [IMAGE, [[1, 2, 3]]]}).encode(), r"instances[1] has shape [1, 3]"),
    (json.dumps({"instances": [IMAGE, [[1, 2, 3], [1, 2]]]}).encode(), "instances[1] is ragged"),
    (json.dumps({"instances": [[["0", 0, 0], [0, 0, 0]]]}).encode(), "instances[0] holds text"),
    (json.dumps({"instances": [[[True] * 3] * 2]}).encode(), "instances[0] holds booleans"),
    (json.dumps({"instances": [IMAGE, [[0, 0.5, True], [1, 0, 0]]]}).encode(), "instances[1] holds booleans"),
    (json.dumps({"instances": [[[0, 0, 0], [0, 0, False]]]}).encode(), "instances[0] holds booleans"),
    (
        b'{"instances": [' + b"[]," * 1100 + b"[]]}",
        "1100 values in one request; the limit is 4 instances of shape [2, 3]",
    ),
    (b'{"instances": [true]}', "instances[0] holds booleans"),
    (b'{"instances": [1]}', "instances[0] has shape [], expected"),
    (json.dumps({"instances": [IMAGE] * 5}).encode(), "5 instances in one request; the limit is 4"),
    (json.dumps({"instances": [IMAGE, None]}).encode(), "instances[1] holds something other than numbers"),
    (json.dumps({"instances": [[[10**400] * 3] * 2]}).encode(), "instances[0] holds something other than numbers"),
    (b'{"instances": ' + b"[" * 300 + b"]" * 300 + b"}", "instances[0] is ragged"),
    (b'{"instances": [[[NaN, 0, 0], [0, 0, 0]]]}', "NaN, Infinity"),
    (b'{"instances": [[[1e999, 0, 0], [0, 0, 0]]]}', "NaN, Infinity"),
    (b'{"instances": [[[1e39, 0, 0], [0, 0, 0]]]}', "too large for float32"),
]


@pytest.mark.parametrize(("body", "message"), FAULTS)
def test_fault_is_named(body: bytes, message: str) -> None:
    """A body that cannot be predicted from is refused with a message that says what is wrong and where."""
    with pytest.raises(InvalidRequest) as caught:
        parse_instances(body, SHAPE, MOST)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [json.dumps({"instances": [IMAGE]}), {"instances": [IMAGE]}, b'{"instances":[[[0,0.5,1],[1,0,0]]]}']
)
def test_text_bytes_and_decoded_json_are_read_alike(body: Any) -> None:
    """It makes no difference whether the JSON comes as text, as bytes or already decoded."""
    parsed = parse_instances(body, SHAPE, MOST)
    assert parsed.dtype == np.float32
    np.testing.assert_array_equal(parsed, np.array([IMAGE], np.float32))


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.just(2), st.just(3)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_float32_survives_the_wire(array: Any) -> None:
    """Every finite float32 comes out of an answer, and back into a request, with the same bits."""
    sent = json.loads(encode_predictions(array))["predictions"]
    returned = parse_instances(json.dumps({"instances": sent}), SHAPE, MOST)
    assert returned.tobytes() == array.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_json_cannot_say_is_refused(value: float) -> None:
    """NaN and Infinity never reach the wire, where they would not be JSON."""
    with pytest.raises(InvalidRequest, match="no finite answer"):
        encode_predictions(np.array([[0, value]], np.float32))
