"""The messages of the two gRPC prediction APIs, so that neither TensorFlow nor generated code is needed.

The field numbers are those of the public definitions, named at each message; the tests compare them with the official
classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.servers.examples import Tensors
from loadtest.servers.expectation import Golden
from loadtest.wire.grpc.protobuf_fields import encode_bytes, encode_map_entry, read_fields, read_map_entry
from loadtest.wire.grpc.tensor_proto import decode_tensor, encode_tensor
from loadtest.wire.numpy_file import difference, write_tensors
from loadtest.wire.wire_format import Message, WireFormat


@dataclass(frozen=True)
class TensorFlowServing:
    """Messages of ``tensorflow.serving.PredictionService/Predict``.

    ``predict.proto`` and ``model.proto`` of tensorflow/serving.

    Attributes:
        model: Model name.
        signature: Name of the signature.
    """

    model: str
    signature: str = "serving_default"

    def request(self, inputs: Tensors) -> Message:
        """See `loadtest.wire.wire_format.WireFormat`."""
        return self.predict_request({name: encode_tensor(array) for name, array in inputs.items()})

    def predict_request(self, tensors: Mapping[str, bytes]) -> Message:
        """PredictRequest {1: ModelSpec {1: name, 3: signature_name}, 2: map of input tensors}."""
        spec = encode_bytes(1, self.model.encode()) + encode_bytes(3, self.signature.encode())
        entries = [encode_map_entry(name.encode(), tensor) for name, tensor in tensors.items()]
        return Message(encode_bytes(1, spec) + b"".join(encode_bytes(2, entry) for entry in entries))

    def difference(self, golden: Golden, payload: int, body: bytes) -> float:
        """PredictResponse {1: map of output tensors, 2: ModelSpec}."""
        return golden.column_distance(payload, self.outputs(body))

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

    ``inference.proto`` of pytorch/serve. What the bytes mean is up to the handler: that of this project takes NumPy's
    files, and JSON.

    Attributes:
        model: Model name.
    """

    model: str

    def request(self, inputs: Tensors) -> Message:
        """PredictionsRequest {1: model_name, 3: map of inputs}; TorchServe's own clients call the input ``data``."""
        data = encode_map_entry(b"data", write_tensors(inputs))
        return Message(encode_bytes(1, self.model.encode()) + encode_bytes(3, data))

    def difference(self, golden: Golden, payload: int, body: bytes) -> float:
        """PredictionResponse {1: prediction}."""
        parts = [value for number, _, value in read_fields(body) if number == 1 and isinstance(value, bytes)]
        return difference(golden, payload, b"".join(parts))


def message_format(method: str, model: str) -> WireFormat:
    """Choose the messages by the full name of the method.

    Args:
        method: Such as ``/tensorflow.serving.PredictionService/Predict``.
        model: Name of the model.

    Raises:
        UsageError: If the method's messages are not known.
    """
    known: dict[str, WireFormat] = {
        "tensorflow.serving.PredictionService/Predict": TensorFlowServing(model),
        "org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions": TorchServe(model),
    }
    try:
        return known[method.strip("/")]
    except KeyError:
        raise UsageError(
            f"the messages of the gRPC method {method!r} are not known (known are {', '.join(known)}): "
            "give the encoded request as a file"
        ) from None
