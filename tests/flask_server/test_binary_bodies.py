"""What .npy, .npz and raw octets have in common, of each other and of JSON."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_server.predict_body import (
    FORMATS,
    NPY,
    NPZ,
    OCTETS,
    Interface,
    InvalidRequest,
    Tensors,
    chosen_format,
    recognised_format,
)
from tests.flask_server.bodies import IMAGES, SENTENCES, images, interface, npy, npz, octets, sentences, tensor

LENGTH = "Inference-Header-Content-Length"
VALUES = {
    "float32": [0.5, -1e-38, 3e38],
    "float64": [0.5, -1e-300, 3e300],
    "int32": [0, -(2**31), 2**31 - 1],
    "int64": [0, -(2**63), 2**63 - 1],
    "uint8": [0, 1, 255],
    "bool": [True, False, True],
    "string": ["", "ü, \U0001f600", "three words here"],
}


def no_header(name: str) -> None:
    """A request without headers."""


def read_npz(tensors: Mapping[str, npt.NDArray[Any]], taken: Interface) -> Tensors:
    """Read these as an .npz."""
    return NPZ.read(npz(tensors), no_header, taken)


def read_octets(tensors: Mapping[str, npt.NDArray[Any]], taken: Interface) -> Tensors:
    """Read these as raw octets."""
    body, length = octets(tensors)
    return OCTETS.read(body, {LENGTH: length}.get, taken)


def read_npy(tensors: Mapping[str, npt.NDArray[Any]], taken: Interface) -> Tensors:
    """Read the only one of these as an .npy."""
    (array,) = tensors.values()
    return NPY.read(npy(array), no_header, taken)


Read = Callable[[Mapping[str, npt.NDArray[Any]], Interface], Tensors]
each_form = pytest.mark.parametrize("read", [read_npz, read_octets])


@pytest.mark.parametrize("read", [read_npy, read_npz, read_octets])
@pytest.mark.parametrize("dtype", VALUES)
def test_every_type_is_read_as_it_was_sent(read: Read, dtype: str) -> None:
    """The same type, shape and values, for each of the seven types."""
    sent = np.array([VALUES[dtype]] * 2, np.str_ if dtype == "string" else dtype)
    got = read({"x": sent}, interface(tensor("x", dtype, 3)))["x"]
    assert got.dtype.kind == sent.dtype.kind
    assert dtype == "string" or got.dtype == sent.dtype
    assert got.tolist() == sent.tolist()
    assert got.flags.c_contiguous
    assert got.flags.aligned


@each_form
def test_inputs_come_in_the_order_of_the_model(read: Read) -> None:
    """However the client has ordered them."""
    sent = sentences()
    got = read(dict(reversed(sent.items())), SENTENCES)
    assert list(got) == list(sent)
    assert {name: array.tolist() for name, array in got.items()} == {name: one.tolist() for name, one in sent.items()}


@each_form
@pytest.mark.parametrize("length", [2, 5])
def test_a_dimension_varies(read: Read, length: int) -> None:
    """From the smallest to the largest length."""
    sent = sentences(ids=np.ones((2, length), np.int32), mask=np.ones((2, length), np.uint8))
    assert read(sent, SENTENCES)["ids"].shape == (2, length)


FAULTS = [
    ({"ids": np.ones((2, 3), np.int64)}, ("ids must be int32, not int64", "ids must be INT32, not INT64")),
    ({"ids": np.ones((2, 3), np.float32)}, ("ids must be int32, not float32", "ids must be INT32, not FP32")),
    ({"loud": np.ones(2, np.uint8)}, ("loud must be bool, not uint8", "loud must be BOOL, not UINT8")),
    ({"author": np.ones(2, np.uint8)}, ("author must be text", "author must be BYTES, not UINT8")),
    ({"mask": np.array(["a", "b"])}, ("mask must be uint8, not str32", "mask must be UINT8, not BYTES")),
    ({"ids": np.ones((2, 1), np.int32)}, "ids has shape [2, 1], expected int32 of shape [n, 2 to 5]"),
    ({"ids": np.ones((2, 6), np.int32)}, "ids has shape [2, 6], expected"),
    ({"ids": np.ones(2, np.int32)}, "ids has shape [2], expected"),
    ({"ids": np.ones((), np.int32)}, "ids has shape [], expected"),
    ({"ids": np.ones((2, 3, 1), np.int32)}, "ids has shape [2, 3, 1], expected"),
    ({"ids": np.ones((0, 3), np.int32)}, "no instance in this request"),
    ({"ids": np.ones((5, 3), np.int32)}, "5 instances in one request; the limit is 4"),
    ({"ids": np.ones((3, 3), np.int32)}, "3 of ids and 2 of mask and 2 of loud and 2 of author: the inputs must have"),
    ({"mask": np.ones((2, 2), np.uint8)}, "instances[0] has 3 of ids and 2 of mask: the inputs of one instance must"),
    ({"ids": np.full((2, 3), 100, np.int32)}, "the instances.ids hold 100; the largest value allowed is 99"),
    ({"ids": np.full((2, 3), -1, np.int32)}, "the instances.ids hold -1; the smallest value allowed is 0"),
    ({"mask": np.full((2, 3), 2, np.uint8)}, "the instances.mask hold 2; the largest value allowed is 1"),
    ({"loud": np.array([1, 2], np.uint8).view(bool)}, "the instances.loud hold a byte that is neither 0 nor 1"),
    ({"more": np.ones(1, np.int32)}, ('the .npz has "more.npy"; expected are "ids.npy"', 'the JSON has "more"')),
]


@pytest.mark.parametrize("form", [0, 1], ids=["npz", "octets"])
@pytest.mark.parametrize(("changes", "message"), FAULTS, ids=[str(message) for _, message in FAULTS])
def test_fault_is_named(changes: dict[str, npt.NDArray[Any]], message: str | tuple[str, str], form: int) -> None:
    """What the model does not take is refused with one line that says what is wrong with which input."""
    with pytest.raises(InvalidRequest) as caught:
        (read_npz, read_octets)[form](sentences(**changes), SENTENCES)
    assert (message if isinstance(message, str) else message[form]) in str(caught.value)
    assert "\n" not in str(caught.value)


@each_form
def test_an_input_that_lacks_is_named(read: Read) -> None:
    """With what is expected."""
    with pytest.raises(InvalidRequest, match='lacks "author'):
        read({name: array for name, array in sentences().items() if name != "author"}, SENTENCES)


@pytest.mark.parametrize("read", [read_npy, read_npz, read_octets])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_are_finite(read: Read, value: float) -> None:
    """NaN and Infinity are refused, as they are in JSON."""
    sent = images(2)
    sent[1, 1, 2] = value
    with pytest.raises(InvalidRequest, match=r"the instances.image hold NaN, Infinity or a number too large"):
        read({"image": sent}, IMAGES)


@pytest.mark.parametrize("name", [NPY, OCTETS], ids=["npy", "octets"])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_numbers_are_not_copied(name: Any, kind: Callable[[bytes], Any]) -> None:
    """The array lies in the body, whether that is what Flask has or what TorchServe has."""
    body, length = octets({"image": images(2)})
    # Octets that do not lie at a multiple of their size are copied: the JSON may be followed by blanks.
    padded = body[: int(length)] + b" " * (-int(length) % 8) + body[int(length) :]
    sent = kind(npy(images(2)) if name is NPY else padded)
    headers = {LENGTH: str(int(length) + -int(length) % 8)}
    got = name.read(sent, headers.get, IMAGES)["image"]
    assert np.shares_memory(got, np.frombuffer(sent, np.uint8))
    np.testing.assert_array_equal(got, images(2))


OUTPUTS = {
    "scores": np.array([[0.5, 1], [0.25, 2]], np.float32),
    "kind": np.array(["a", "ü b"]),
    "rank": np.array([3, 4]),
    "sure": np.array([True, False]),
}


def test_an_answer_of_several_outputs_can_be_read() -> None:
    """By NumPy as an .npz, and with JSON and struct as octets; the same values in both."""
    taken = interface(
        tensor("scores", "float32", 2), tensor("kind", "string"), tensor("rank", "int64"), tensor("sure", "bool")
    )
    answer = NPZ.write(OUTPUTS)
    assert (answer.content_type, answer.headers) == ("application/x-npz", {})
    raw = OCTETS.write(OUTPUTS)
    assert raw.content_type == "application/octet-stream"
    head = json.loads(raw.body[: int(raw.headers[LENGTH])])
    assert head["outputs"][1] == {
        "name": "kind",
        "shape": [2],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": 13},
    }
    sent_back = json.dumps({"inputs": head["outputs"]}).encode()
    again = OCTETS.read(sent_back + raw.body[int(raw.headers[LENGTH]) :], {LENGTH: str(len(sent_back))}.get, taken)
    for got in (NPZ.read(answer.body, no_header, taken), again):
        assert {name: array.tolist() for name, array in got.items()} == {
            name: array.tolist() for name, array in OUTPUTS.items()
        }


def test_an_answer_of_one_output_is_an_npy() -> None:
    """Of an .npz too: the form of the answer follows the model."""
    for form in (NPY, NPZ):
        answer = form.write({"scores": OUTPUTS["scores"]})
        assert answer.content_type == "application/x-npy"
        assert answer.body == npy(OUTPUTS["scores"])


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.content_type)
def test_an_answer_is_finite(form: Any) -> None:
    """NaN is refused in every form alike."""
    with pytest.raises(InvalidRequest, match="no finite answer"):
        form.write({"scores": np.array([[0.5], [np.nan]], np.float32)})


def test_forms_are_found() -> None:
    """By the Content-Type, or by the first bytes where there is none."""
    assert [chosen_format(name) for name in FORMATS] == list(FORMATS.values())
    assert chosen_format("application/problem+json") is FORMATS["application/json"]
    assert chosen_format("text/plain") is None
    assert recognised_format(npy(images())) is NPY
    assert recognised_format(bytearray(npz({"image": images()}))) is NPZ
    assert recognised_format(b'{"instances": []}') is None
    assert recognised_format({"instances": []}) is None


PLACES = st.integers(0, 10_000)
CHANGES = st.lists(st.tuples(PLACES, st.binary(max_size=3), st.integers(0, 3)), max_size=4)


@given(st.sampled_from([NPY, NPZ, OCTETS]), st.sampled_from([IMAGES, SENTENCES]), st.booleans(), CHANGES, st.data())
def test_any_bytes_are_read_or_refused(
    form: Any, taken: Interface, anything: bool, changes: list[tuple[int, bytes, int]], data: st.DataObject
) -> None:
    """Whatever comes in, and whatever a good body is changed into, it raises nothing but InvalidRequest."""
    tensors = {"image": images(2)} if taken is IMAGES else sentences()
    body, length = octets(tensors)
    if form is not OCTETS:
        body = npy(images(2)) if form is NPY else npz(tensors)
    if anything:
        body = (form.magic or b"") + data.draw(st.binary(max_size=200))
        length = data.draw(st.one_of(st.just(str(len(body) // 2)), st.text("0123456789-+ x", max_size=4)))
    for place, more, gone in changes:
        at = place % (len(body) + 1)
        body = body[:at] + more + body[at + gone :]
    try:
        got = form.read(body, {LENGTH: length}.get, taken)
    except InvalidRequest:
        return
    assert list(got) == [spec.name for spec in taken.inputs]
    assert all(1 <= len(array) <= taken.max_instances for array in got.values())
