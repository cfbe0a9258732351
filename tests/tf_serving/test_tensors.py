"""Tensors over gRPC: what a TensorProto may leave out, and what is refused before anything is made of it."""

import functools
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2

from tests.tf_serving.grpc_requests import TIMEOUT, failure, predict_request
from tests.tf_serving.process import ServerProcess


def tensor(shape: tuple[int, ...], dtype: int = types_pb2.DT_FLOAT, **values: Any) -> Any:
    """A TensorProto as it is told, whether or not it makes sense."""
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    shape_proto = tensor_shape_pb2.TensorShapeProto(dim=dims)
    return tensor_pb2.TensorProto(dtype=dtype, tensor_shape=shape_proto, **values)


@pytest.mark.parametrize(
    ("proto", "signature", "expected"),
    [
        (tensor((3, 2), float_val=[1]), "float32", [[1, 1]] * 3),
        (tensor((3,), float_val=[1, 2]), "float32", [1, 2, 2]),
        (tensor((2,)), "float32", [0, 0]),
        (tensor((2,), float_val=[1, 2, 3]), "float32", [1, 2]),
        (tensor((3,), types_pb2.DT_UINT8, int_val=[256, -1]), "uint8", [0, 255, 255]),
        (tensor((2**10, 2**6), types_pb2.DT_BOOL, bool_val=[True]), "bool", [[True] * 2**6] * 2**10),
    ],
)
def test_a_shorter_list_goes_on_with_its_last_value(
    prediction: Any, proto: Any, signature: str, expected: list[Any]
) -> None:
    """As in the real server: one value may fill a tensor, no value is zero, and too many are ignored."""
    request = predict_pb2.PredictRequest(inputs={"x": proto})
    request.model_spec.name = "numbers"
    request.model_spec.signature_name = signature
    found = tf.make_ndarray(prediction.Predict(request, timeout=TIMEOUT).outputs["y"])
    assert found.tolist() == expected


FLOATS = ("numbers", "float32", "x")


@pytest.mark.parametrize(
    ("target", "proto"),
    [
        (FLOATS, tensor((2**18, 8, 8), float_val=[1])),
        (FLOATS, tensor((2**18, 8, 8))),
        (FLOATS, tensor((2**62, 2**62), float_val=[1])),
        (FLOATS, tensor((2**40, 0))),
        (FLOATS, tensor((2**18, 8, 8), tensor_content=b"1234")),
        (FLOATS, tensor((-1, 2), float_val=[1, 2])),
        (FLOATS, tensor((-1, -2), float_val=[1, 2])),
        (FLOATS, tensor((1,) * 100, float_val=[1])),
        (FLOATS, tensor((1,), dtype=0, float_val=[1])),
        (FLOATS, tensor((1,), dtype=999, float_val=[1])),
        (FLOATS, tensor((1,), dtype=types_pb2.DT_FLOAT_REF, float_val=[1])),
        (FLOATS, tensor((1,), dtype=types_pb2.DT_RESOURCE)),
        (("numbers", "float16", "x"), tensor((1,), types_pb2.DT_HALF, half_val=[70_000])),
        (("text", "plain", "s"), tensor((2**20,), types_pb2.DT_STRING, string_val=[b"a"])),
        (("text", "plain", "s"), tensor((1,), types_pb2.DT_STRING, tensor_content=b"a")),
        (("batch", "", "x"), tensor((2**40, 0))),
    ],
)
def test_a_shape_may_not_promise_what_is_not_sent(
    server: ServerProcess, prediction: Any, target: tuple[str, str, str], proto: Any
) -> None:
    """Beyond a modest size every value must be sent: fifty bytes are refused before anything is made of them."""
    model, signature, alias = target
    request = predict_pb2.PredictRequest(inputs={alias: proto})
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    code, details = failure(lambda: prediction.Predict(request, timeout=TIMEOUT))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert f"tensor parsing error: {alias}" in details
    assert process.memory_info().rss < before + 32 * 1024 * 1024


def test_many_small_promises_are_one_large_one(prediction: Any) -> None:
    """What the shapes of a request promise is counted together; names the signature has not are not looked at."""
    request = predict_pb2.PredictRequest(inputs={str(n): tensor((1000, 8, 8), float_val=[1]) for n in range(1000)})
    request.model_spec.name = "numbers"
    request.model_spec.signature_name = "float32"
    code, details = failure(lambda: prediction.Predict(request, timeout=TIMEOUT))
    assert (code, details[:33]) == (grpc.StatusCode.INVALID_ARGUMENT, "input size does not match signatu")


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x03\x0a\x01\xff", b"\x0a\xff\xff"])
def test_a_message_that_cannot_be_parsed(channel: grpc.Channel, message: bytes) -> None:
    """It is the client's fault, and is told so."""
    for method in ("PredictionService/Predict", "ModelService/GetModelStatus"):
        call = channel.unary_unary(f"/tensorflow.serving.{method}")
        code, details = failure(functools.partial(call, message, timeout=TIMEOUT))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert details.startswith("the message is no ")


def test_a_message_about_a_long_name_is_cut(prediction: Any) -> None:
    """Or the client would hear of too large a header instead."""
    code, details = failure(
        lambda: prediction.Predict(predict_request("n" * 100_000, x=np.ones((1, 2), np.float32)), timeout=TIMEOUT)
    )
    assert code == grpc.StatusCode.NOT_FOUND
    assert details.startswith("Servable not found for request: Latest(nnn")
