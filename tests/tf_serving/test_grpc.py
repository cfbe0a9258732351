"""The gRPC API, spoken with the official stubs."""

import contextlib
import functools
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    regression_pb2,
)

from loadtest.resilience.hostile.grpc_bytes import GREETING, headers
from tests.tf_serving.grpc_requests import TIMEOUT, failure, predict_request
from tests.tf_serving.process import ServerProcess, until


def gate_request(folder: Path, number: int) -> Any:
    """A request that runs until the file `opened` is there."""
    started, opened = (np.array([str(folder / name)]) for name in (f"started-{number}", "opened"))
    return predict_request("gate", started=started, opened=opened)


def test_predict(prediction: Any) -> None:
    """Outputs by name, in the typed fields, with the version that answered."""
    x = np.array([[1, 2]], dtype=np.float32)
    response = prediction.Predict(predict_request("scale", x=x), timeout=TIMEOUT)
    assert list(response.outputs) == ["y"]
    assert list(response.outputs["y"].float_val) == [30.0, 60.0]
    assert tf.make_ndarray(response.outputs["y"]).shape == (1, 2)
    assert response.model_spec.version.value == 3
    assert response.model_spec.signature_name == "serving_default"


def test_predict_by_version_label_signature_and_output_filter(prediction: Any) -> None:
    """Everything a ModelSpec can choose."""
    request = predict_request("scale", x=np.array([[1, 2]], dtype=np.float32))
    request.model_spec.version_label = "stable"
    assert list(prediction.Predict(request, timeout=TIMEOUT).outputs["y"].float_val) == [10.0, 20.0]
    request.model_spec.version.value = 3
    request.model_spec.signature_name = "negate"
    assert list(prediction.Predict(request, timeout=TIMEOUT).outputs["y"].float_val) == [-1.0, -2.0]
    request = predict_request("named", a=np.array([1], dtype=np.float32), b=np.array([[2, 3]], dtype=np.int32))
    request.output_filter.append("doubled")
    response = prediction.Predict(request, timeout=TIMEOUT)
    assert {name: list(proto.int64_val) for name, proto in response.outputs.items()} == {"doubled": [4, 6]}


@pytest.mark.parametrize(
    "dtype",
    ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool", "float16", "float32", "float64"],
)
def test_every_type_makes_the_round_trip(prediction: Any, dtype: str) -> None:
    """Also from tensor_content, which NumPy clients send, and for any rank."""
    for array in (np.array([[0, 1], [2, 3]], dtype=dtype), np.array(1, dtype=dtype), np.zeros((0, 2), dtype=dtype)):
        request = predict_request("numbers", x=array)
        request.model_spec.signature_name = dtype
        found = tf.make_ndarray(prediction.Predict(request, timeout=TIMEOUT).outputs["y"])
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_bytes(prediction: Any) -> None:
    """Strings are bytes, whatever they hold."""
    raw = bytes(range(256))
    response = prediction.Predict(predict_request("text", s=np.array([raw], dtype=object)), timeout=TIMEOUT)
    assert list(response.outputs["shout_bytes"].string_val) == [raw + b"!"]


def _with(request: Any, change: Callable[[Any], None]) -> Any:
    change(request)
    return request


X = np.array([[1, 2]], dtype=np.float32)


@pytest.mark.parametrize(
    ("request_", "code", "details"),
    [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request("", x=X), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_request("foo", x=X), "NOT_FOUND", "Servable not found for request: Latest(foo)"),
        (
            _with(predict_request("scale", x=X), lambda r: setattr(r.model_spec.version, "value", 2)),
            "NOT_FOUND",
            "Servable not found for request: Specific(scale, 2)",
        ),
        (
            _with(predict_request("scale", x=X), lambda r: setattr(r.model_spec.version, "value", 0)),
            "NOT_FOUND",
            "Servable not found for request: Specific(scale, 0)",
        ),
        (
            _with(predict_request("scale", x=X), lambda r: setattr(r.model_spec, "version_label", "no")),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: no",
        ),
        (
            _with(predict_request("scale", x=X), lambda r: setattr(r.model_spec, "signature_name", "no")),
            "FAILED_PRECONDITION",
            'Serving signature key "no" not found.',
        ),
        (
            predict_request("scale", z=X),
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=1 len({z}) != len({x}). "
            "Sent extra: {z}. Missing but required: {x}.",
        ),
        (predict_request("scale", x=X.astype(np.float64)), "INVALID_ARGUMENT", "input x must be of type float"),
        (predict_request("scale", x=X[0]), "INVALID_ARGUMENT", "input x must have shape [-1,2], not [2]"),
        (
            _with(predict_request("scale", x=X), lambda r: setattr(r.inputs["x"], "tensor_content", b"123")),
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
        ),
        (
            _with(predict_request("scale", x=X), lambda r: r.output_filter.append("no")),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: no Outputs expected to be in the set {y}.",
        ),
        (
            _with(predict_request("scale", x=X), lambda r: r.output_filter.extend(["y", "y"])),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: y",
        ),
    ],
)
def test_bad_requests(prediction: Any, request_: Any, code: str, details: str) -> None:
    """Every fault has the real server's code and, where it has one, its text."""
    found, text = failure(lambda: prediction.Predict(request_, timeout=TIMEOUT))
    assert found.name == code
    assert details in text


def test_metadata(prediction: Any) -> None:
    """The signatures, packed as the API packs them."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "scale"
    response = prediction.GetModelMetadata(request, timeout=TIMEOUT)
    assert response.model_spec.version.value == 3
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) >= {"serving_default", "negate"}
    request.metadata_field[:] = ["no"]
    code, details = failure(lambda: prediction.GetModelMetadata(request, timeout=TIMEOUT))
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Metadata field no is not supported")


def test_model_status(channel: grpc.Channel) -> None:
    """ModelService tells the state of versions, and NOT_FOUND of models it has never had."""
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "scale"
    entries = stub.GetModelStatus(request, timeout=TIMEOUT).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(entry.version, entry.state) for entry in entries] == [(3, available), (1, available)]
    request.model_spec.name = "foo"
    code, details = failure(lambda: stub.GetModelStatus(request, timeout=TIMEOUT))
    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "Could not find any versions of model foo")


def test_classify_regress_and_multi_inference_are_not_available(prediction: Any) -> None:
    """They say so, instead of failing in some other way."""
    for call, request in (
        (prediction.Classify, classification_pb2.ClassificationRequest()),
        (prediction.Regress, regression_pb2.RegressionRequest()),
        (prediction.MultiInference, inference_pb2.MultiInferenceRequest()),
    ):
        code, _ = failure(functools.partial(call, request, timeout=TIMEOUT))
        assert code == grpc.StatusCode.UNIMPLEMENTED


def test_calls_beyond_grpc_max_threads_are_refused(prediction: Any, tmp_path: Path) -> None:
    """With two threads busy a third call is RESOURCE_EXHAUSTED at once, and works when they are done."""
    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(prediction.Predict, gate_request(tmp_path, number), timeout=TIMEOUT) for number in (0, 1)]
        for number in (0, 1):
            until((tmp_path / f"started-{number}").exists, "the call runs")
        code, _ = failure(lambda: prediction.Predict(predict_request("scale", x=X), timeout=TIMEOUT))
        (tmp_path / "opened").touch()
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert [call.result().outputs["version"].int_val[0] for call in busy] == [1, 1]
    assert list(prediction.Predict(predict_request("scale", x=X), timeout=TIMEOUT).outputs["y"].float_val) == [30, 60]


def test_calls_whose_message_does_not_come_keep_nobody_up(server: ServerProcess, prediction: Any) -> None:
    """Many clients begin a call and send no message; there are two threads for calls, and others are answered."""
    begun = GREETING + headers("/tensorflow.serving.PredictionService/Predict")
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.grpc_port), timeout=TIMEOUT))
            connection.sendall(begun)
            connection.recv(1)  # its settings: it has read this
        x = np.array([[1, 2]], np.float32)
        for _ in range(10):
            found = prediction.Predict(predict_request("scale", x=x), timeout=TIMEOUT).outputs["y"]
            assert tf.make_ndarray(found).tolist() == [[30.0, 60.0]]


def test_a_deadline_ends_the_forward_pass(prediction: Any, tmp_path: Path) -> None:
    """The client hears of its deadline, and the thread is free again."""
    for number in range(3):  # more than there are threads
        code, _ = failure(functools.partial(prediction.Predict, gate_request(tmp_path, number), timeout=0.5))
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED

    def answered() -> bool:
        try:
            prediction.Predict(predict_request("scale", x=X), timeout=TIMEOUT)
        except grpc.RpcError:
            return False
        return True

    until(answered, "a thread is free")
