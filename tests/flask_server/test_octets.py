"""The form of raw octets behind a JSON: what is accepted of it, and what is refused."""

import struct
from typing import Any

import numpy as np
import pytest

from flask_server.predict_body import OCTETS, InvalidRequest
from tests.flask_server.bodies import IMAGES, SENTENCES, entry, framed, images, interface, octets, sentences, tensor

LENGTH = "Inference-Header-Content-Length"
IMAGE = images().tobytes()


def one(**changes: Any) -> dict[str, Any]:
    """The JSON of one image, with an entry that is changed."""
    return {"inputs": [entry("image", images(), IMAGE) | changes]}


FAULTS = [
    (framed(b"", IMAGE), "the first 0 bytes are not valid JSON"),
    (framed(b"{", IMAGE), "the first 1 bytes are not valid JSON"),
    (framed(b"[" * 60_000, IMAGE), "the first 60000 bytes are not valid JSON"),
    (framed(b"\xff" * 60, IMAGE), "the first 60 bytes are not valid JSON"),
    (framed(b" " * 70_000, IMAGE), "Inference-Header-Content-Length is 70000; the limit is 65536"),
    (framed([], IMAGE), 'the JSON must be an object with a list "inputs"'),
    (framed({"inputs": {}}, IMAGE), 'the JSON must be an object with a list "inputs"'),
    (framed({"inputs": [1]}, IMAGE), 'inputs[0] must be an object with a "name"'),
    (framed({"inputs": [{"name": 1}]}, IMAGE), 'inputs[0] must be an object with a "name"'),
    (framed({"inputs": []}, IMAGE), 'the JSON lacks "image"; expected are "image"'),
    (framed(one(name="picture"), IMAGE), 'the JSON lacks "image"; expected are "image"'),
    (framed({"inputs": one()["inputs"] * 2}, IMAGE), 'the JSON names an input twice; expected are "image"'),
    (framed(one(parameters=None), IMAGE), "image needs parameters.binary_data_size: its bytes behind the JSON"),
    (framed(one(parameters={}, data=[1]), IMAGE), "image needs parameters.binary_data_size"),
    (framed(one(parameters={"binary_data_size": -1}), IMAGE), "image needs parameters.binary_data_size"),
    (framed(one(parameters={"binary_data_size": True}), IMAGE), "image needs parameters.binary_data_size"),
    (framed(one(parameters={"binary_data_size": 24.0}), IMAGE), "image needs parameters.binary_data_size"),
    (framed(one(parameters={"binary_data_size": 10**30}), IMAGE), "image needs parameters.binary_data_size"),
    (framed(one(parameters={"binary_data_size": 10**4000}), IMAGE), "the first 4110 bytes are not valid JSON"),
    (framed(one(), IMAGE[:-1]), "behind the JSON are 23 bytes, the tensors that it declares take 24"),
    (framed(one(), IMAGE, b"\0"), "behind the JSON are 25 bytes, the tensors that it declares take 24"),
    (
        framed(one(parameters={"binary_data_size": 20}), IMAGE[:20]),
        "image holds 20 bytes, FP32 of shape",
    ),
    (framed(one(datatype="FP64"), IMAGE), "image must be FP32, not FP64"),
    (framed(one(datatype="FP16"), IMAGE), 'image has a datatype that is none of "BOOL", "UINT8"'),
    (framed(one(datatype=["FP32"]), IMAGE), "image has a datatype that is none of"),
    (framed(one(shape=None), IMAGE), 'image needs a "shape": a list of whole numbers from 0'),
    (framed(one(shape=[1, 2.0, 3]), IMAGE), 'image needs a "shape"'),
    (framed(one(shape=[True, 2, 3]), IMAGE), 'image needs a "shape"'),
    (framed(one(shape=[-1, 2, 3]), IMAGE), 'image needs a "shape"'),
    (framed(one(shape=[10**30, 2, 3]), IMAGE), 'image needs a "shape"'),
    (framed(one(shape=[2**62, 2, 3]), IMAGE), f"{2**62} instances in one request; the limit is 4"),
    (framed(one(shape=[1, 2**62, 2**62]), IMAGE), f"image has shape [1, {2**62}, {2**62}], expected float32 of shape"),
    (framed(one(shape=[2, 2, 3]), IMAGE), "image holds 24 bytes, FP32 of shape [2, 2, 3] takes 48"),
    (octets({"image": images(5)}), "5 instances in one request; the limit is 4"),
]


@pytest.mark.parametrize(("sent", "message"), FAULTS, ids=range(len(FAULTS)))
def test_fault_is_named(sent: tuple[bytes, str], message: str) -> None:
    """What is not the model's input is refused with one line that says why."""
    body, length = sent
    with pytest.raises(InvalidRequest) as caught:
        OCTETS.read(body, {LENGTH: length}.get, IMAGES)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (None, "send the header Inference-Header-Content-Length: how many bytes of the body are JSON"),
        ("", "Inference-Header-Content-Length must be a number of bytes, not ''"),
        ("-1", "must be a number of bytes, not '-1'"),
        ("1_0", "must be a number of bytes"),
        ("\u0661", "must be a number of bytes"),
        ("9" * 5000, "must be a number of bytes"),
        ("96,96", "must be a number of bytes, not '96,96'"),
        ("999", "Inference-Header-Content-Length is 999, but the body has 135 bytes"),
    ],
)
def test_the_header_says_where_the_json_ends(length: str | None, message: str) -> None:
    """Without it, or with one that cannot be, the request is refused."""
    body, _ = octets({"image": images()})
    with pytest.raises(InvalidRequest) as caught:
        OCTETS.read(body, lambda name: length, IMAGES)
    assert message in str(caught.value)


def text_body(octets: bytes, count: int = 2) -> tuple[bytes, str]:
    """A body of one input of text."""
    return framed({"inputs": [entry("x", np.array(["a"] * count), octets)]}, octets)


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"", "x ends within an element; before each stand 4 bytes that are its length"),
        (b"\1\0\0", "x ends within an element"),
        (b"\1\0\0\0a", "x ends within an element"),
        (b"\1\0\0\0a\2\0\0\0b", "x ends within an element"),
        (b"\1\0\0\0a\xff\xff\xff\xffb", "x ends within an element"),
        (b"\1\0\0\0a\1\0\0\0bc", "x has 1 bytes behind its 2 elements"),
        (b"\1\0\0\0a\1\0\0\0\xff", "x holds text that is not UTF-8"),
        (b"\1\0\0\0a\3\0\0\0\xed\xa0\x80", "x holds text that is not UTF-8"),
    ],
)
def test_fault_of_text_is_named(octets: bytes, message: str) -> None:
    """Each element has its length before it and is UTF-8."""
    body, length = text_body(octets)
    with pytest.raises(InvalidRequest) as caught:
        OCTETS.read(body, {LENGTH: length}.get, interface(tensor("x", "string")))
    assert message in str(caught.value)


def test_one_long_text_does_not_make_all_long() -> None:
    """NumPy would give every text the room of the longest."""
    long = b"a" * 20_000
    body, length = text_body(struct.pack("<I", len(long)) + long + b"\0\0\0\0")
    with pytest.raises(InvalidRequest, match="x takes 160000 bytes in memory; the limit is 100000"):
        OCTETS.read(body, {LENGTH: length}.get, interface(tensor("x", "string")))


def test_octets_may_lie_anywhere() -> None:
    """Where they do not lie at a multiple of their size, the array is a copy that does."""
    for blanks in range(8):
        text, octets = framed(one(), b" " * blanks)[0], images().tobytes()
        got = OCTETS.read(text + octets, {LENGTH: str(len(text))}.get, IMAGES)["image"]
        assert got.flags.aligned
        np.testing.assert_array_equal(got, images())


def test_what_a_client_of_the_protocol_sends_besides_is_ignored() -> None:
    """Its id, its parameters and the outputs that it asks for."""
    parts = sentences()
    body, length = framed(
        {
            "id": "7",
            "parameters": {"binary_data_output": True},
            "inputs": [entry("author", parts["author"], b"\3\0\0\0Ann\0\0\0\0")]
            + [entry(name, array, array.tobytes()) for name, array in parts.items() if name != "author"],
            "outputs": [{"name": "scores", "parameters": {"binary_data": True}}],
        },
        b"\3\0\0\0Ann\0\0\0\0",
        *(array.tobytes() for name, array in parts.items() if name != "author"),
    )
    assert OCTETS.read(body, {LENGTH: length}.get, SENTENCES)["author"].tolist() == ["Ann", ""]
