"""The wire formats: what each sends is what the servers' own code reads, and only right answers are taken for right."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_server.predict_body import Interface, Tensors, TensorSpec, chosen_format
from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.servers.expectation import Golden
from loadtest.wire.formats import check_takes, find_wire, wire_names
from loadtest.wire.octet_strings import has_signature
from loadtest.wire.wire_format import GoldenAnswers, WireFormat
from models import serving_bytes
from models.tensors import TensorSpec as BuiltSpec

PATHS = {"grpc": "/tensorflow.serving.PredictionService/Predict"}
NAMES = wire_names()
SHARED = ("npy", "octets", "rest")
"""Those that Flask and TorchServe speak."""

EVERY_TYPE: dict[str, npt.NDArray[Any]] = {
    "loud": np.array([True, False]),
    "level": np.array([[0, 255], [7, 8]], np.uint8),
    "id": np.array([-(2**31), 2**31 - 1], np.int32),
    "time": np.array([-(2**62), 2**62], np.int64),
    "image": np.array([[[0.1, -2.5]], [[3e-7, 1e7]]], np.float32),
    "mass": np.array([0.1, 1e300], np.float64),
    "author": np.array(["Ann", "Bob, ü"]),
}


def format_of(name: str) -> WireFormat:
    """The format, for a model called digits."""
    wire = find_wire(name)
    return wire.format("digits", PATHS["grpc"] if wire.scheme == "grpc" else "")


def interface_of(tensors: Mapping[str, npt.NDArray[Any]]) -> Interface:
    """What a model takes whose inputs these are."""
    fixed = {"lengths": None, "padding": 0, "minimum": None, "maximum": None}
    specs = [
        {"name": name, "dtype": "string" if array.dtype.kind == "U" else array.dtype.name, **fixed}
        for name, array in tensors.items()
    ]
    inputs = [TensorSpec.read({**one, "shape": list(tensors[one["name"]].shape[1:])}) for one in specs]  # type: ignore[index]  # the name is text
    return Interface(tuple(inputs), (), 4, max_request_bytes=100_000)


def read_by_the_servers(name: str, tensors: Mapping[str, npt.NDArray[Any]]) -> Tensors:
    """What Flask and TorchServe make of a request."""
    message = format_of(name).request(tensors)
    headers = {"content-type": "application/json", **message.headers}
    form = chosen_format(headers["content-type"])
    assert form is not None
    return form.read(message.body, lambda header: headers.get(header.lower()), interface_of(tensors))


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("only", [*EVERY_TYPE, ""])
def test_a_request_is_read_as_it_was_meant(name: str, only: str) -> None:
    """Every type alone, as the one input of a model, and all together."""
    tensors = {only: EVERY_TYPE[only]} if only else EVERY_TYPE
    read = read_by_the_servers(name, tensors)
    assert list(read) == list(tensors)
    for key, array in tensors.items():
        assert read[key].dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(read[key], array)


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("several", [False, True])
def test_an_answer_of_the_servers_is_read_back(name: str, several: bool) -> None:
    """It is right as it was written, and wrong for another payload or with one number altered."""
    outputs = EVERY_TYPE if several else {"image": EVERY_TYPE["image"]}
    kind = format_of(name).request({"image": EVERY_TYPE["image"]}).headers.get("content-type", "application/json")
    form = chosen_format(kind)
    assert form is not None
    altered = {**outputs, "image": outputs["image"] + np.float32(1e-3)}
    right = {key: [array.astype(np.float64) if array.dtype.kind == "f" else array] for key, array in outputs.items()}
    twice = {key: [*arrays, np.concatenate([arrays[0]] * 2)] for key, arrays in right.items()}
    golden = GoldenAnswers(format_of(name), Golden(twice, 1e-5))
    body = form.write(dict(outputs)).body
    assert golden.matches(0, body)
    assert not golden.matches(1, body)
    assert not golden.matches(0, form.write(altered).body)
    assert not golden.matches(0, body[:-1])


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(noise=st.binary(max_size=200))
def test_noise_is_never_a_right_answer(name: str, noise: bytes) -> None:
    """Nor does it raise anything."""
    assert not GoldenAnswers(format_of(name), Golden({"p": [np.array([[0.25]])]}, 1e-5)).matches(0, noise)


def test_columns_hold_each_tensor_once() -> None:
    """The bare tensor of a model of one input, an object for several; the answer is read by columns too."""
    form = format_of("rest-columns")
    pair = {"a": np.array([[1, 2], [3, 4]]), "b": np.array(["x", "y"])}
    assert json.loads(form.request({"a": pair["a"]}).body) == {"inputs": [[1, 2], [3, 4]]}
    assert json.loads(form.request(pair).body) == {"inputs": {"a": [[1, 2], [3, 4]], "b": ["x", "y"]}}
    one = GoldenAnswers(form, Golden({"p": [np.array([[0.5], [0.25]])]}, 1e-5))
    assert one.matches(0, b'{"outputs": [[0.5], [0.25]]}')
    assert not one.matches(0, b'{"outputs": [[0.5], [0.26]]}')
    assert not one.matches(0, b'{"predictions": [[0.5], [0.25]]}')
    two = GoldenAnswers(form, Golden({"p": [np.array([0.5])], "q": [np.array([3])]}, 1e-5))
    assert two.matches(0, b'{"outputs": {"p": [0.5], "q": [3]}}')
    assert not two.matches(0, b'{"outputs": {"p": [0.5]}}')
    assert not two.matches(0, b'{"outputs": [0.5]}')


@pytest.mark.parametrize(
    ("dtype", "shape", "lengths"),
    [
        ("float32", (8, 8), None),
        ("string", (), None),
        ("int64", (None,), (1, 9)),
        ("int64", (None, 4), (1, 9)),
        ("int64", (4, None), (1, 9)),
    ],
)
def test_octet_strings_are_for_the_models_whose_export_has_them(
    dtype: str, shape: tuple[int | None, ...], lengths: tuple[int, int] | None
) -> None:
    """The load tester, which cannot ask the export, follows the same rule."""
    (built,) = [BuiltSpec("x", dtype, shape, lengths)]
    manifest = [{"name": "x", "dtype": dtype, "shape": list(shape)}]
    assert has_signature(manifest) == serving_bytes.offered([built])


def test_what_cannot_be_asked_is_refused_with_what_can(artifact: Artifact) -> None:
    """An unknown format, and one that a model's inputs do not go into."""
    with pytest.raises(
        UsageError, match="no wire format 'cbor'; there are: grpc, grpc-bytes, jpeg, npy, octets, png, rest, "
    ):
        find_wire("cbor")
    check_takes("rest-bytes", artifact)
    inputs = [{**artifact.manifest["inputs"][0], "dtype": "string"}]
    text = Artifact(**{**vars(artifact), "manifest": {**artifact.manifest, "inputs": inputs}})
    check_takes("npy", text)
    with pytest.raises(UsageError, match="digits cannot be asked over rest-bytes, but over grpc, jpeg, npy, octets, "):
        check_takes("rest-bytes", text)
    with pytest.raises(UsageError, match="a request over png holds one picture, not 2: take a batch of 1"):
        check_takes("png", artifact, 2)
    check_takes("rest-png", artifact, 2)
    none = [{**artifact.manifest["inputs"][0], "white": None}]
    tensors = Artifact(**{**vars(artifact), "manifest": {**artifact.manifest, "inputs": none}})
    with pytest.raises(UsageError, match="digits cannot be asked over rest-jpeg, but over grpc, grpc-bytes, npy, "):
        check_takes("rest-jpeg", tensors)


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_pictures_travel_as_the_artifact_holds_them(artifact: Artifact, form: str) -> None:
    """The file is the body, or its base64 an instance; the servers' code reads from it what the answers are for."""
    golden = artifact.carried_as(form).golden
    bare = format_of(form).request(golden.request(np.array([3])))
    assert bare.body == bytes(golden.inputs["image"][3])
    assert bare.headers == {"content-type": f"image/{form}"}
    taken = chosen_format(f"image/{form}")
    assert taken is not None
    interface = Interface.read(artifact.manifest)
    image = taken.read(bare.body, lambda header: None, interface)["image"]
    assert np.abs(image - artifact.golden.inputs["image"][3:4]).max() < (0.5 / 255 + 1e-6 if form == "png" else 0.2)
    rows = json.loads(format_of(f"rest-{form}").request(golden.request(np.array([3, 0]))).body)
    assert rows["signature_name"] == f"serving_{form}"
    assert [base64.b64decode(one["b64"]) for one in rows["instances"]] == golden.inputs["image"][[3, 0]].tolist()
