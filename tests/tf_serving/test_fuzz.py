"""The embedded server's readers, given anything at all: a value or their own error, and never another exception."""

import json
import math
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2

from tests.tf_serving.process import ServerProcess
from tf_serving.embedded import json_body, json_predict, tensor_proto
from tf_serving.embedded.errors import ServingError
from tf_serving.embedded.servable import Signature, SignatureTensor, Tensors


def _input(alias: str, dtype: Any, type_name: str, *shape: int | None) -> SignatureTensor:
    return SignatureTensor(alias, f"{alias}:0", np.dtype(dtype), type_name, shape)


def _signature(*inputs: SignatureTensor) -> Signature:
    return Signature("serving_default", "predict", {one.alias: one for one in inputs}, {}, {}, 100)


SIGNATURES = [
    _signature(_input("x", np.float32, "float", None, 2)),
    _signature(_input("x", np.int32, "int32", None)),
    _signature(_input("x", np.bool_, "bool", None), _input("y", object, "string", None)),
    _signature(_input("x", np.uint8, "uint8"), _input("y", np.float64, "double", None, None)),
]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just({"b64": "AA=="}),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("x", "y", "b64", "")), inner, max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.sampled_from(("instances", "inputs", "signature_name", "")), VALUES, max_size=3) | VALUES


def read(body: bytes, signature: Signature) -> Tensors | ServingError:
    """The inputs that the server reads from a body, or its refusal."""
    try:
        document = json_body.parse(body)
        json_body.signature_name(document)
        inputs, _ = json_predict.read(document, signature, body)
        return signature.complete(inputs)
    except ServingError as error:
        return error


@given(st.binary(max_size=300) | st.text().map(str.encode), st.sampled_from(SIGNATURES))
def test_any_bytes_are_read_or_refused(body: bytes, signature: Signature) -> None:
    """Bytes that nobody would send."""
    assert isinstance(read(body, signature), dict | ServingError)


@given(DOCUMENTS, st.sampled_from(SIGNATURES))
def test_any_json_is_read_or_refused(document: Any, signature: Signature) -> None:
    """JSON of any structure, NaN and infinity included: what is read is what the signature asks for."""
    found = read(json.dumps(document).encode(), signature)
    if isinstance(found, ServingError):
        assert found.http_status in (400, 501)
        assert len(found.message) > 10
        return
    for alias, spec in signature.inputs.items():
        assert found[alias].dtype == spec.dtype
        assert spec.accepts(found[alias].shape)


@given(st.text(), st.binary(max_size=200), st.integers(0, 400))
def test_a_body_that_was_cut_or_altered(text: str, noise: bytes, at: int) -> None:
    """Nearly right bodies, with bytes put in, and without their end."""
    body = json.dumps({"instances": [[1.5, 2], [3, 4]], "signature_name": text}).encode()
    for altered in (body[:at], body[:at] + noise + body[at:]):
        assert isinstance(read(altered, SIGNATURES[0]), dict | ServingError)


SIZES = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 4)
TYPES = st.sampled_from(list(types_pb2.DataType.values())) | st.integers(0, 200)


@st.composite
def tensors(draw: st.DrawFn) -> bytes:
    """Encoded TensorProtos of any type, shape and values."""
    proto = tensor_pb2.TensorProto(dtype=draw(TYPES), tensor_content=draw(st.binary(max_size=40)))
    for size in draw(st.lists(SIZES, max_size=5)):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(st.booleans())
    proto.float_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    proto.int_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4)))
    proto.string_val.extend(draw(st.lists(st.binary(max_size=10), max_size=4)))
    proto.bool_val.extend(draw(st.lists(st.booleans(), max_size=4)))
    message: bytes = proto.SerializeToString()
    return message


@given(tensors() | st.binary(max_size=60), tensors() | st.none(), st.sampled_from(SIGNATURES))
def test_any_tensor_is_decoded_or_refused(first: bytes, second: bytes | None, signature: Signature) -> None:
    """Any TensorProto, or bytes that happen to be one: an array of its type and shape, or a refusal."""
    try:
        protos = {
            alias: tensor_pb2.TensorProto.FromString(message)
            for alias, message in (("x", first), ("y", second))
            if message is not None
        }
        arrays = tensor_proto.decode_all(protos, signature)
    except (DecodeError, ServingError):
        return
    for alias, array in arrays.items():
        assert array.dtype == signature.inputs[alias].dtype
        assert array.size == math.prod(dim.size for dim in protos[alias].tensor_shape.dim)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=100) | DOCUMENTS.map(lambda document: json.dumps(document).encode()))
def test_over_http(server: ServerProcess, body: bytes) -> None:
    """The server as a whole: an answer, or a refusal in JSON, and never a fault of its own."""
    response = server.post("/v1/models/scale:predict", body)
    assert response.status_code in (200, 400), response.text
    assert response.headers["content-type"] == "application/json"
    if response.status_code == 400:
        assert len(response.json()["error"]) > 10
