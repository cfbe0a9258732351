"""The messages of the two gRPC prediction APIs, so that neither TensorFlow nor generated code is needed.

The field numbers are those of the public definitions, named at each message; the tests compare them with the official
classes.
"""

from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.servers.examples import Examples
from loadtest.servers.expectation import Golden
from loadtest.wire.grpc.protobuf_fields import (
    encode_bytes,
    encode_map_entry,
    encode_number,
    read_fields,
    read_map_entry,
)

DT_FLOAT, DT_DOUBLE = 1, 2
MAX_ELEMENTS = 1 << 24


class MessageFormat(Protocol):
    """How a prediction API asks and answers."""

    def request(self, instances: npt.NDArray[np.float32]) -> bytes:
        """Encode a request for a batch, shape (instances, *input shape)."""

    def predictions(self, response: bytes) -> object:
        """Decode a response into something `numpy.asarray` takes, shape (instances, *output shape).

        Raises:
            ValueError: If it is no response of this API.
        """


@dataclass(frozen=True)
class TensorFlowServing:
    """Messages of ``tensorflow.serving.PredictionService/Predict``.

    ``predict.proto`` and ``model.proto`` of tensorflow/serving, ``tensor.proto`` and ``tensor_shape.proto`` of
    tensorflow/tensorflow.

    Attributes:
        model: Model name.
        input: Key of the input tensor in the signature.
        output: Key of the output tensor.
    """

    model: str
    input: str
    output: str

    def request(self, instances: npt.NDArray[np.float32]) -> bytes:
        """PredictRequest {1: ModelSpec {1: name, 3: signature_name}, 2: map of input tensors}."""
        spec = encode_bytes(1, self.model.encode()) + encode_bytes(3, b"serving_default")
        # TensorShapeProto {2: Dim {1: size}}; TensorProto {1: dtype, 2: shape, 4: tensor_content}
        shape = b"".join(encode_bytes(2, encode_number(1, size)) for size in instances.shape)
        content = np.ascontiguousarray(instances, dtype="<f4").tobytes()
        tensor = encode_number(1, DT_FLOAT) + encode_bytes(2, shape) + encode_bytes(4, content)
        return encode_bytes(1, spec) + encode_bytes(2, encode_map_entry(self.input.encode(), tensor))

    def predictions(self, response: bytes) -> npt.NDArray[np.float64]:
        """PredictResponse {1: map of output tensors, 2: ModelSpec}."""
        for number, _, entry in read_fields(response):
            if number == 1 and isinstance(entry, bytes):
                name, tensor = read_map_entry(entry)
                if name == self.output.encode():
                    return _tensor(tensor)
        raise ValueError(f"no output tensor {self.output!r}")


@dataclass(frozen=True)
class TorchServe:
    """Messages of ``org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions``.

    ``inference.proto`` of pytorch/serve. What the bytes mean is up to the handler: that of this project takes the JSON
    of REST.

    Attributes:
        model: Model name.
    """

    model: str

    def request(self, instances: npt.NDArray[np.float32]) -> bytes:
        """PredictionsRequest {1: model_name, 3: map of inputs}; TorchServe's own clients call the input ``data``."""
        body = orjson.dumps({"instances": np.ascontiguousarray(instances)}, option=orjson.OPT_SERIALIZE_NUMPY)
        return encode_bytes(1, self.model.encode()) + encode_bytes(3, encode_map_entry(b"data", body))

    def predictions(self, response: bytes) -> object:
        """PredictionResponse {1: prediction}."""
        body = b"".join(value for number, _, value in read_fields(response) if number == 1 and isinstance(value, bytes))
        document = orjson.loads(body)
        if not isinstance(document, dict) or "predictions" not in document:
            raise ValueError(body[:120].decode(errors="replace"))
        return document["predictions"]


@dataclass(frozen=True)
class GoldenMessages:
    """The predictions in a message must equal the right ones within the tolerance.

    Attributes:
        format: How to read the message.
        golden: The right predictions for each payload.
    """

    format: MessageFormat
    golden: Golden
    name: str = "golden"

    def matches(self, payload: int, message: bytes) -> bool:
        """Compare with the golden predictions of this payload."""
        return self.difference(payload, message) <= self.golden.tolerance

    def difference(self, payload: int, message: bytes) -> float:
        """Largest absolute difference; infinite where the message is no answer of the right shape."""
        try:
            return self.golden.distance(payload, self.format.predictions(message))
        except ValueError:
            return float("inf")


def message_format(method: str, artifact: Artifact) -> MessageFormat:
    """Choose the messages by the full name of the method, such as ``/tensorflow.serving.PredictionService/Predict``.

    Raises:
        UsageError: If the method's messages are not known.
    """
    known: dict[str, MessageFormat] = {
        "tensorflow.serving.PredictionService/Predict": TensorFlowServing(
            artifact.workload, artifact.manifest["input"]["name"], artifact.manifest["output"]["name"]
        ),
        "org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions": TorchServe(artifact.workload),
    }
    try:
        return known[method.strip("/")]
    except KeyError:
        raise UsageError(
            f"the messages of the gRPC method {method!r} are not known (known are {', '.join(known)}): "
            "give the encoded request as a file"
        ) from None


def request_messages(form: MessageFormat, examples: Examples, batch: int = 1) -> list[bytes]:
    """Requests that together hold every input once, as `loadtest.servers.examples.Examples.bodies` for REST."""
    return [form.request(examples.inputs[part]) for part in examples.batches(batch)]


def _tensor(message: bytes) -> npt.NDArray[np.float64]:
    """Read a float tensor: TensorProto {1: dtype, 2: shape, 4: tensor_content, 5: float_val, 6: double_val}."""
    dtype, shape, content = 0, b"", b""
    values: dict[int, bytes] = {5: b"", 6: b""}
    for number, _, value in read_fields(message):
        if number == 1 and isinstance(value, int):
            dtype = value
        elif isinstance(value, bytes):
            if number == 2:
                shape = value
            elif number == 4:
                content = value
            elif number in values:
                values[number] += value  # packed, or one fixed-size value at a time: the bytes are the same
    if dtype not in (DT_FLOAT, DT_DOUBLE):
        raise ValueError(f"the output tensor has data type {dtype}, not float or double")
    data = content or values[5 if dtype == DT_FLOAT else 6]
    flat = np.frombuffer(data, dtype="<f4" if dtype == DT_FLOAT else "<f8").astype(np.float64)
    sizes = [_dimension(value) for number, _, value in read_fields(shape) if number == 2 and isinstance(value, bytes)]
    if prod(sizes) > MAX_ELEMENTS:
        raise ValueError(f"the output tensor claims to have {prod(sizes)} elements")
    missing = prod(sizes) - flat.size
    if missing > 0 and flat.size and not content:
        # The last value stands for all that follow (tensor.proto).
        flat = np.pad(flat, (0, missing), mode="edge")
    return flat.reshape(sizes)


def _dimension(message: bytes) -> int:
    """TensorShapeProto.Dim {1: size}; a size of zero is left out."""
    sizes = [value for number, _, value in read_fields(message) if number == 1 and isinstance(value, int)]
    return sizes[-1] if sizes else 0
