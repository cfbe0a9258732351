import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flask_server.predict_body import InvalidRequest, encode_predictions, parse_instances
from tests.flask_server.bodies import IMAGES, SENTENCES, interface, tensor

SENTENCE = {"ids": [1, 2, 3], "mask": [1, 1, 0], "loud": False, "author": "Ann"}
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
    (json.dumps({"instances": [[[10**400] * 3] * 2]}).encode(), "not valid JSON: number is infinity"),
    (b'{"instances": ' + b"[" * 300 + b"]" * 300 + b"}", "instances[0] is ragged"),
    (b'{"instances": [[[NaN, 0, 0], [0, 0, 0]]]}', "JSON has no NaN, Infinity or"),
    (b'{"instances": [[[1e999, 0, 0], [0, 0, 0]]]}', "not valid JSON: number is infinity"),
    (b'{"instances": [[[1e39, 0, 0], [0, 0, 0]]]}', "too large for float32"),
]


@pytest.mark.parametrize(("body", "message"), FAULTS)
def test_fault_is_named(body: bytes, message: str) -> None:
    """A body that cannot be predicted from is refused with a message that says what is wrong and where."""
    with pytest.raises(InvalidRequest) as caught:
        parse_instances(body, IMAGES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [json.dumps({"instances": [IMAGE]}), {"instances": [IMAGE]}, b'{"instances":[[[0,0.5,1],[1,0,0]]]}']
)
def test_text_bytes_and_decoded_json_are_read_alike(body: Any) -> None:
    """It makes no difference whether the JSON comes as text, as bytes or already decoded."""
    parsed = parse_instances(body, IMAGES)["image"]
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
    sent = json.loads(encode_predictions({"x": array}))["predictions"]
    returned = parse_instances(json.dumps({"instances": sent}), IMAGES)["image"]
    assert returned.tobytes() == array.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_json_cannot_say_is_refused(value: float) -> None:
    """NaN and Infinity never reach the wire, where they would not be JSON."""
    with pytest.raises(InvalidRequest, match="no finite answer"):
        encode_predictions({"x": np.array([[0, value]], np.float32)})


def test_objects_are_read_into_an_array_for_each_input() -> None:
    """Whole numbers, booleans and text, each in its own type; the order of the names does not matter."""
    other = {"author": "Bob, \u00fc", "loud": True, "mask": [0, 1, 1], "ids": [0, 98, 99]}
    parsed = parse_instances(json.dumps({"instances": [SENTENCE, other]}), SENTENCES)
    assert {name: array.tolist() for name, array in parsed.items()} == {
        name: [SENTENCE[name], other[name]] for name in ("ids", "mask", "loud", "author")
    }
    assert [array.dtype.kind for array in parsed.values()] == ["i", "u", "b", "U"]
    assert [array.dtype.itemsize for array in parsed.values()][:3] == [4, 1, 1]


SENTENCE_FAULTS = [
    ([1, 2, 3], 'instances[0] must be a JSON object with "ids", "mask", "loud", "author"'),
    ({"ids": [1, 2]}, 'instances[0] lacks "author", "loud", "mask"; expected are "ids"'),
    ({**SENTENCE, "IDs": 1}, 'instances[0] has "IDs"; expected are "ids"'),
    ({**SENTENCE, "ids": [1]}, "instances[0].ids has shape [1], expected whole numbers of shape [2 to 5]"),
    ({**SENTENCE, "ids": []}, "instances[0].ids has shape [0], expected"),
    ({**SENTENCE, "ids": [1] * 6}, "instances[0].ids has shape [6], expected"),
    ({**SENTENCE, "ids": [1, 2, [3]]}, "instances[0].ids is ragged"),
    ({**SENTENCE, "ids": [1, 2, 2.5]}, "instances[0].ids holds a number that is not whole"),
    ({**SENTENCE, "ids": [1, 2, 3.0]}, "instances[0].ids holds a number that is not whole"),
    ({**SENTENCE, "ids": [1, True, 3]}, "instances[0].ids holds booleans"),
    ({**SENTENCE, "ids": ["1", "2", "3"]}, "instances[0].ids holds text"),
    ({**SENTENCE, "ids": [1, 2, None]}, "instances[0].ids holds something other than whole numbers"),
    ({**SENTENCE, "ids": [1, 2, 100]}, "the instances.ids hold 100; the largest value allowed is 99"),
    ({**SENTENCE, "ids": [1, -2, 3]}, "the instances.ids hold -2; the smallest value allowed is 0"),
    ({**SENTENCE, "ids": [1, 2, 2**31]}, "the instances.ids hold a number beyond int32"),
    ({**SENTENCE, "ids": [1, 2, 2**63]}, "instances[0].ids holds a number that is not whole, or beyond int32"),
    ({**SENTENCE, "mask": [1, 1, 2]}, "the instances.mask hold 2; the largest value allowed is 1"),
    ({**SENTENCE, "mask": [1, 1, 256]}, "the instances.mask hold a number beyond uint8"),
    ({**SENTENCE, "mask": [1, 1, -1]}, "the instances.mask hold a number beyond uint8"),
    ({**SENTENCE, "mask": [1, 1]}, "instances[0] has 3 of ids and 2 of mask: the inputs of one instance must have"),
    ({**SENTENCE, "loud": 1}, "instances[0].loud holds numbers, expected booleans of shape []"),
    ({**SENTENCE, "loud": [True]}, "instances[0].loud has shape [1], expected booleans"),
    ({**SENTENCE, "author": 7}, "instances[0].author holds numbers, expected text"),
    ({**SENTENCE, "author": None}, "instances[0].author holds something other than text"),
    ({**SENTENCE, "author": "\ud800"}, "the instances.author hold text that is not Unicode"),
]


@pytest.mark.parametrize(("instance", "message"), SENTENCE_FAULTS, ids=[message for _, message in SENTENCE_FAULTS])
def test_fault_of_an_input_is_named(instance: object, message: str) -> None:
    """With the input it is in, alone and beside good instances."""
    with pytest.raises(InvalidRequest) as caught:
        parse_instances({"instances": [instance]}, SENTENCES)
    assert message in str(caught.value)
    for others in ([SENTENCE, instance], [instance, SENTENCE]):
        with pytest.raises(InvalidRequest):
            parse_instances({"instances": others}, SENTENCES)


def test_instances_of_one_request_have_one_length() -> None:
    """Two that are right alone are refused together."""
    longer = {**SENTENCE, "ids": [1, 2, 3, 4], "mask": [1, 1, 1, 1]}
    parse_instances({"instances": [longer]}, SENTENCES)
    both = r"instances\[1\].ids has shape \[4\] and instances\[0\].ids \[3\]"
    with pytest.raises(InvalidRequest, match=f"{both}: the instances of one request"):
        parse_instances({"instances": [SENTENCE, longer]}, SENTENCES)


def test_text_among_other_things_is_no_text() -> None:
    """Beside text NumPy would turn a number into text."""
    words = interface(tensor("words", "string", 3))
    assert parse_instances({"instances": [["a", "b", "c"]]}, words)["words"].tolist() == [["a", "b", "c"]]
    with pytest.raises(InvalidRequest, match="holds something other than text"):
        parse_instances({"instances": [["a", 1, "c"]]}, words)


def test_the_smallest_batch_is_one_that_is_taken() -> None:
    """What a server warms a model up with keeps the model's own limits."""
    for taken in (IMAGES, SENTENCES, interface(tensor("x", "int64", minimum=3, maximum=5))):
        batch = taken.smallest()
        instance = [array.tolist()[0] for array in batch.values()]
        instances = [dict(zip(batch, instance, strict=True)) if len(batch) > 1 else instance[0]]
        parsed = parse_instances(json.dumps({"instances": instances}), taken)
        assert {name: (one.dtype, one.tolist()) for name, one in parsed.items()} == {
            name: (one.dtype, one.tolist()) for name, one in batch.items()
        }


def test_several_outputs_are_objects() -> None:
    """An object for each instance; one output alone is bare."""
    outputs = {"scores": np.array([[0.5], [0.25]], np.float32), "kind": np.array(["a", "b"])}
    assert json.loads(encode_predictions(outputs)) == {
        "predictions": [{"scores": [0.5], "kind": "a"}, {"scores": [0.25], "kind": "b"}]
    }
    assert json.loads(encode_predictions({"kind": outputs["kind"]})) == {"predictions": ["a", "b"]}


LONG = "x" * 1_000_000


def peak_of_refusal(body: Any, model: Any) -> tuple[str, int]:
    """Why a body is refused, and the memory that this took at most, in bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest) as refused:
            parse_instances(body, model)
        return str(refused.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("decoded", [False, True])
def test_one_long_text_among_numbers_takes_no_more_than_itself(decoded: bool) -> None:
    """NumPy would give each of 24 numbers as much memory as the text needs: 4 MB; orjson takes 12 MB for it."""
    document = {"instances": [[[LONG, 0, 0], [0, 0, 0]], *[IMAGE] * 3]}
    reason, peak = peak_of_refusal(document if decoded else json.dumps(document).encode(), IMAGES)
    assert reason == "instances[0] holds text, expected numbers of shape [2, 3]"
    assert peak < 20 * len(LONG)


def test_one_long_text_among_short_ones_is_refused_where_it_would_take_too_much() -> None:
    """Likewise where text is what the model takes."""
    many = interface(tensor("author", "string"), max_instances=1000)
    body = json.dumps({"instances": [LONG[:10_000], *"abcdefghij"]}).encode()
    reason, peak = peak_of_refusal(body, many)
    assert "11 texts, each as long as the longest one, take 440000 bytes" in reason
    assert peak < 200_000
