"""The messages of the two gRPC prediction APIs, so that neither TensorFlow nor generated code is needed.

The field numbers are those of the public definitions, named at each message; the tests compare them with the official
classes.
"""

from dataclasses import dataclass
from typing import Protocol

import orjson

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.servers.examples import Examples, Tensors, json_body
from loadtest.servers.expectation import Golden
from loadtest.wire.grpc.protobuf_fields import encode_bytes, encode_map_entry, read_fields, read_map_entry
from loadtest.wire.grpc.tensor_proto import decode_tensor, encode_tensor


class MessageFormat(Protocol):
    """How a prediction API asks and answers."""

    def request(self, inputs: Tensors) -> bytes:
        """Encode a request for a batch: arrays (instances, *shape) by the names of the inputs."""

    def difference(self, golden: Golden, payload: int, response: bytes) -> float:
        """Largest difference of a response from the right predictions for a payload.

        Raises:
            ValueError: If it is no response of this API.
        """


@dataclass(frozen=True)
class TensorFlowServing:
    """Messages of ``tensorflow.serving.PredictionService/Predict``.

    ``predict.proto`` and ``model.proto`` of tensorflow/serving.

    Attributes:
        model: Model name.
    """

    model: str

    def request(self, inputs: Tensors) -> bytes:
        """PredictRequest {1: ModelSpec {1: name, 3: signature_name}, 2: map of input tensors}."""
        spec = encode_bytes(1, self.model.encode()) + encode_bytes(3, b"serving_default")
        tensors = [encode_map_entry(name.encode(), encode_tensor(array)) for name, array in inputs.items()]
        return encode_bytes(1, spec) + b"".join(encode_bytes(2, entry) for entry in tensors)

    def difference(self, golden: Golden, payload: int, response: bytes) -> float:
        """PredictResponse {1: map of output tensors, 2: ModelSpec}."""
        return golden.column_distance(payload, self.outputs(response))

    def outputs(self, response: bytes) -> Tensors:
        """The output tensors by name.

        Raises:
            ValueError: If it is no PredictResponse.
        """
        fields = [value for number, _, value in read_fields(response) if number == 1 and isinstance(value, bytes)]
        return {name.decode(): decode_tensor(tensor) for name, tensor in map(read_map_entry, fields)}


@dataclass(frozen=True)
class TorchServe:
    """Messages of ``org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions``.

    ``inference.proto`` of pytorch/serve. What the bytes mean is up to the handler: that of this project takes the JSON
    of REST.

    Attributes:
        model: Model name.
    """

    model: str

    def request(self, inputs: Tensors) -> bytes:
        """PredictionsRequest {1: model_name, 3: map of inputs}; TorchServe's own clients call the input ``data``."""
        return encode_bytes(1, self.model.encode()) + encode_bytes(3, encode_map_entry(b"data", json_body(inputs)))

    def difference(self, golden: Golden, payload: int, response: bytes) -> float:
        """PredictionResponse {1: prediction}."""
        return golden.distance(payload, self.predictions(response))

    def predictions(self, response: bytes) -> object:
        """The predictions, one for each instance.

        Raises:
            ValueError: If it is no PredictionResponse, or holds an error of the handler.
        """
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
            return self.format.difference(self.golden, payload, message)
        except ValueError:
            return float("inf")


def message_format(method: str, artifact: Artifact) -> MessageFormat:
    """Choose the messages by the full name of the method, such as ``/tensorflow.serving.PredictionService/Predict``.

    Raises:
        UsageError: If the method's messages are not known.
    """
    known: dict[str, MessageFormat] = {
        "tensorflow.serving.PredictionService/Predict": TensorFlowServing(artifact.workload),
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
    return [form.request(examples.request(rows)) for rows in examples.batches(batch)]
