"""The hand-written protobuf messages against the official definitions."""

import importlib.util
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.servers.expectation import Golden
from loadtest.wire.formats import find_wire
from loadtest.wire.grpc.messages import TensorFlowServing, TorchServe, message_format
from loadtest.wire.numpy_file import write_tensors
from loadtest.wire.wire_format import GoldenAnswers, request_messages

TENSORFLOW = TensorFlowServing("digits")
TORCH = TorchServe("digits")

untimed = settings(deadline=None)


def tensors(min_side: int) -> st.SearchStrategy[npt.NDArray[np.float32]]:
    """Arrays of any shape with at least so many elements a side."""
    shapes = arrays.array_shapes(min_dims=1, max_dims=4, min_side=min_side, max_side=40)
    return arrays.arrays(np.float32, shapes, elements=st.floats(width=32, allow_nan=False))


@pytest.fixture(scope="module")
def predict_pb2() -> Any:
    """The official classes of TensorFlow Serving."""
    from tensorflow_serving.apis import predict_pb2

    return predict_pb2


@pytest.fixture(scope="module")
def inference_pb2() -> Any:
    """Classes made from the definition inside TorchServe's own jar."""
    spec = importlib.util.find_spec("ts")
    assert spec is not None
    assert spec.origin is not None
    with zipfile.ZipFile(Path(spec.origin).parent / "frontend" / "model-server.jar") as jar:
        text = jar.read("inference.proto").decode()
    package = re.search(r"package ([\w.]+);", text)
    assert package is not None
    file = descriptor_pb2.FileDescriptorProto(name="from_the_jar.proto", package=package[1], syntax="proto3")
    kinds = {"string": 9, "bytes": 12}
    for name in ("PredictionsRequest", "PredictionResponse"):
        body = re.search(rf"message {name} {{(.*?)}}", text, re.DOTALL)
        assert body is not None
        message = file.message_type.add(name=name)
        for kind, field, number in re.findall(r"(map<string, bytes>|string|bytes) (\w+) = (\d+);", body[1]):
            if kind in kinds:
                message.field.add(name=field, number=int(number), type=kinds[kind], label=1)
                continue
            entry = message.nested_type.add(name=f"{field.title()}Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=9, label=1)
            entry.field.add(name="value", number=2, type=12, label=1)
            full = f".{package[1]}.{name}.{entry.name}"
            message.field.add(name=field, number=int(number), type=11, label=3, type_name=full)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


def response(predict_pb2: Any, values: npt.NDArray[Any], way: str, name: str = "probabilities") -> bytes:
    """A PredictResponse that holds a tensor in one of the ways that are allowed."""
    import tensorflow as tf

    message = predict_pb2.PredictResponse()
    message.model_spec.name = "digits"
    message.model_spec.version.value = 1
    message.outputs["logits"].CopyFrom(tf.make_tensor_proto(np.ones((2, 2), np.float32)))
    tensor = message.outputs[name]
    tensor.CopyFrom(tf.make_tensor_proto(values))
    if way == "values":
        del tensor.float_val[:], tensor.double_val[:]
        tensor.tensor_content = b""
        getattr(tensor, "float_val" if values.dtype == np.float32 else "double_val").extend(values.ravel().tolist())
    return bytes(message.SerializeToString())


@untimed
@given(batch=tensors(1))
def test_predict_request(predict_pb2: Any, batch: npt.NDArray[np.float32]) -> None:
    """TensorFlow Serving's own classes read the request as it was meant."""
    import tensorflow as tf

    encoded = TENSORFLOW.request({"image": batch}).body
    message = predict_pb2.PredictRequest.FromString(encoded)
    assert (message.model_spec.name, message.model_spec.signature_name) == ("digits", "serving_default")
    assert list(message.inputs) == ["image"]
    np.testing.assert_array_equal(tf.make_ndarray(message.inputs["image"]), batch)
    assert message.ByteSize() == len(encoded)  # nothing unknown was in it


@pytest.mark.parametrize("way", ["content", "values"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@untimed
@given(batch=tensors(0))
def test_predict_response(predict_pb2: Any, batch: npt.NDArray[np.float32], dtype: type, way: str) -> None:
    """An answer of TensorFlow Serving's own classes is read exactly, in either precision and either form."""
    values: npt.NDArray[Any] = batch.astype(dtype)
    read = TENSORFLOW.outputs(response(predict_pb2, values, way))["probabilities"]
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, values)


def test_last_value_stands_for_the_rest(predict_pb2: Any) -> None:
    """A tensor that is given by fewer values than it has elements repeats the last one."""
    import tensorflow as tf

    message = predict_pb2.PredictResponse()
    tensor = message.outputs["probabilities"]
    tensor.dtype = tf.float32.as_datatype_enum
    for size in (2, 3):
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.extend([1.0, 2.0, 0.5])
    expected = tf.make_ndarray(tensor)
    np.testing.assert_array_equal(TENSORFLOW.outputs(message.SerializeToString())["probabilities"], expected)
    assert expected[1, 2] == 0.5


OTHERS = [
    np.array([[-(2**31), -1, 0], [1, 2, 2**31 - 1]], np.int32),
    np.array([-(2**63), -1, 0, 2**63 - 1], np.int64),
    np.array([[0], [255]], np.uint8),
    np.array([[True, False], [False, True]]),
    np.array([["a", ""], ["Grüße", "日本"]]),
]


@pytest.mark.parametrize("values", OTHERS, ids=lambda values: str(values.dtype))
def test_every_type_goes_there_and_back(predict_pb2: Any, values: npt.NDArray[Any]) -> None:
    """TensorFlow reads whole numbers, booleans and text as they were meant, and its own tensors are read back."""
    import tensorflow as tf

    sent = predict_pb2.PredictRequest.FromString(TENSORFLOW.request({"image": values}).body).inputs["image"]
    read = tf.make_ndarray(sent)
    if values.dtype.kind == "U":
        read = np.char.decode(read.astype(np.bytes_), "utf-8")
    np.testing.assert_array_equal(read, values)
    compact = predict_pb2.PredictResponse(outputs={"probabilities": tf.make_tensor_proto(values)})
    listed = predict_pb2.PredictResponse(outputs={"probabilities": tf.make_tensor_proto(values.tolist(), values.dtype)})
    for message in (compact, listed):
        back = TENSORFLOW.outputs(message.SerializeToString())["probabilities"]
        assert back.dtype.kind == values.dtype.kind
        np.testing.assert_array_equal(back, values)


def test_other_types_of_tensor_are_no_answer(predict_pb2: Any) -> None:
    """A tensor of complex numbers is an error and not a guess."""
    with pytest.raises(ValueError, match="data type"):
        TENSORFLOW.outputs(response(predict_pb2, np.ones((1, 2), np.complex64), "content"))


def test_missing_output(predict_pb2: Any) -> None:
    """An answer without the output asked for is wrong; one more output does no harm."""
    right = np.array([[0.25, 0.75]], np.float32)
    golden = GoldenAnswers(TENSORFLOW, Golden({"probabilities": [right.astype(np.float64)]}, 1e-5))
    assert golden.matches(0, response(predict_pb2, right, "content"))
    assert not golden.matches(0, response(predict_pb2, right, "content", name="others"))


def test_torchserve_messages(inference_pb2: Any, artifact: Artifact) -> None:
    """The definition in TorchServe's jar reads the request as the .npy of HTTP, and its answer is read back."""
    request = inference_pb2["org.pytorch.serve.grpc.inference.PredictionsRequest"]
    answer = inference_pb2["org.pytorch.serve.grpc.inference.PredictionResponse"]
    files = request_messages(find_wire("npy").format("digits", ""), artifact.golden, 3)
    for encoded, file in zip(request_messages(TORCH, artifact.golden, 3), files, strict=True):
        message = request.FromString(encoded.body)
        assert message.model_name == "digits"
        assert dict(message.input) == {"data": file.body}
        assert message.ByteSize() == len(encoded.body)
    right = np.array([[0.25, 0.75]])
    golden = Golden({"probabilities": [right]}, 1e-5)
    prediction = write_tensors({"probabilities": right.astype(np.float32)})
    encoded = answer(prediction=prediction, sequence_id="ignored").SerializeToString()
    assert TORCH.difference(golden, 0, encoded) == 0.0
    error = answer(prediction=b'{"code": 400, "message": "bad"}').SerializeToString()
    with pytest.raises(ValueError, match="not a NumPy file"):
        TORCH.difference(golden, 0, error)


def test_golden_check(predict_pb2: Any) -> None:
    """Within the tolerance is right; beyond it, another shape, NaN or another payload's answer is wrong."""
    right = [np.array([[0.25, 0.75]]), np.array([[1.0, 0.0]])]
    golden = GoldenAnswers(TENSORFLOW, Golden({"probabilities": right}, 1e-5))

    def judged(values: object, payload: int = 0) -> bool:
        return golden.matches(payload, response(predict_pb2, np.array(values, np.float32), "content"))

    assert judged([[0.25, 0.75]])
    assert judged([[0.250009, 0.75]])
    assert not judged([[0.25002, 0.75]])
    assert not judged([[float("nan"), 0.75]])
    assert not judged([0.25, 0.75])
    assert not judged([[0.25, 0.75]] * 2)
    assert not judged([[0.25, 0.75]], payload=1)


@untimed
@given(st.binary(max_size=300))
@pytest.mark.parametrize("form", [TENSORFLOW, TORCH])
def test_noise_is_never_right(form: TensorFlowServing | TorchServe, noise: bytes) -> None:
    """No bytes make the check fail otherwise than by saying that they are wrong."""
    assert not GoldenAnswers(form, Golden({"probabilities": [np.array([[0.25, 0.75]])]}, 1e-5)).matches(0, noise)


@untimed
@given(st.data())
def test_damaged_answers_are_never_right(predict_pb2: Any, data: st.DataObject) -> None:
    """An answer that lost its end, or one whose values were altered, is wrong; other damage never raises."""
    golden = GoldenAnswers(TENSORFLOW, Golden({"probabilities": [np.array([[0.25, 0.75]])]}, 1e-5))
    good = response(predict_pb2, np.array([[0.25, 0.75]], np.float32), "content")
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    assert golden.matches(0, damaged) in (True, False)
    value = good.index(np.float32(0.75).tobytes())
    altered = good[:value] + np.float32(0.5).tobytes() + good[value + 4 :]
    assert not golden.matches(0, altered)


def test_huge_shape_is_refused_without_making_it() -> None:
    """An answer that claims a shape of many gigabytes from one value takes no memory."""
    size = b"\x08\xff\xff\xff\xff\xff\x1f"
    dim = b"\x12" + bytes([len(size)]) + size
    tensor = b"\x08\x01" + b"\x12" + bytes([len(dim)]) + dim + b"\x2a\x04" + bytes(4)
    entry = b"\x0a\x0dprobabilities\x12" + bytes([len(tensor)]) + tensor
    with pytest.raises(ValueError, match="claims"):
        TENSORFLOW.outputs(b"\x0a" + bytes([len(entry)]) + entry)


def test_formats_are_chosen_by_the_method() -> None:
    """The methods of the two servers are known; others are refused."""
    form = message_format("/tensorflow.serving.PredictionService/Predict", "digits")
    assert form == TensorFlowServing("digits")
    assert message_format("org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions", "digits") == TORCH
    with pytest.raises(UsageError, match=r"other\.Service/Method"):
        message_format("/other.Service/Method", "digits")


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_requests_hold_every_input_once(predict_pb2: Any, artifact: Artifact, batch: int) -> None:
    """Batches over gRPC are cut as those over REST."""
    import tensorflow as tf

    requests = request_messages(TENSORFLOW, artifact.golden, batch)
    assert len(requests) == len(artifact.bodies(batch))
    sent = [tf.make_ndarray(predict_pb2.PredictRequest.FromString(one.body).inputs["image"]) for one in requests]
    np.testing.assert_array_equal(np.concatenate(sent), artifact.golden.inputs["image"])
