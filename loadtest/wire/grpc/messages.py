"""The protobuf messages of the two gRPC prediction APIs, written and read by hand.

It is a handful of fields in the protobuf wire format (https://protobuf.dev/programming-guides/encoding/), and so the
load tester needs neither TensorFlow nor generated code nor a protobuf runtime whose version TensorFlow pins. The
field numbers are those of the public definitions, named at each message; the tests compare with the official classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson

from loadtest.errors import UsageError
from loadtest.servers.artifact import Artifact
from loadtest.servers.expectation import Golden

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DT_FLOAT, DT_DOUBLE = 1, 2
MAX_ELEMENTS = 1 << 24

Field = tuple[int, int, int | bytes]
"""Number, wire type and value of a field."""


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
        spec = _bytes(1, self.model.encode()) + _bytes(3, b"serving_default")
        # TensorShapeProto {2: Dim {1: size}}; TensorProto {1: dtype, 2: shape, 4: tensor_content}
        shape = b"".join(_bytes(2, _number(1, size)) for size in instances.shape)
        content = np.ascontiguousarray(instances, dtype="<f4").tobytes()
        tensor = _number(1, DT_FLOAT) + _bytes(2, shape) + _bytes(4, content)
        return _bytes(1, spec) + _bytes(2, _entry(self.input.encode(), tensor))

    def predictions(self, response: bytes) -> npt.NDArray[np.float64]:
        """PredictResponse {1: map of output tensors, 2: ModelSpec}."""
        for number, _, entry in _fields(response):
            if number == 1 and isinstance(entry, bytes):
                name, tensor = _map_entry(entry)
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
        return _bytes(1, self.model.encode()) + _bytes(3, _entry(b"data", body))

    def predictions(self, response: bytes) -> object:
        """PredictionResponse {1: prediction}."""
        body = b"".join(value for number, _, value in _fields(response) if number == 1 and isinstance(value, bytes))
        document = orjson.loads(body)
        if not isinstance(document, dict) or "predictions" not in document:
            raise ValueError(body[:120].decode(errors="replace"))
        return document["predictions"]


@dataclass(frozen=True)
class GoldenMessages:
    """The predictions in a message must equal the golden ones within the tolerance.

    Attributes:
        format: How to read the message.
        golden: The golden predictions of each payload.
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


def golden_requests(form: MessageFormat, artifact: Artifact, batch: int = 1) -> list[bytes]:
    """Requests that together hold every golden input once, as `loadtest.servers.artifact.Artifact.bodies` for REST."""
    return [form.request(artifact.inputs[part]) for part in artifact.batches(batch)]


def _tensor(message: bytes) -> npt.NDArray[np.float64]:
    """Read a float tensor: TensorProto {1: dtype, 2: shape, 4: tensor_content, 5: float_val, 6: double_val}."""
    dtype, shape, content = 0, b"", b""
    values: dict[int, bytes] = {5: b"", 6: b""}
    for number, _, value in _fields(message):
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
    sizes = [_dimension(value) for number, _, value in _fields(shape) if number == 2 and isinstance(value, bytes)]
    if prod(sizes) > MAX_ELEMENTS:
        raise ValueError(f"the output tensor claims to have {prod(sizes)} elements")
    missing = prod(sizes) - flat.size
    if missing > 0 and flat.size and not content:
        # The last value stands for all that follow (tensor.proto).
        flat = np.pad(flat, (0, missing), mode="edge")
    return flat.reshape(sizes)


def _dimension(message: bytes) -> int:
    """TensorShapeProto.Dim {1: size}; a size of zero is left out."""
    sizes = [value for number, _, value in _fields(message) if number == 1 and isinstance(value, int)]
    return sizes[-1] if sizes else 0


def _map_entry(message: bytes) -> tuple[bytes, bytes]:
    parts = {number: value for number, _, value in _fields(message) if isinstance(value, bytes)}
    return parts.get(1, b""), parts.get(2, b"")


def _fields(message: bytes) -> Iterator[Field]:
    """Take a message apart; raises ValueError where it is none."""
    position, end = 0, len(message)
    while position < end:
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _read_varint(message, position)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, position = _read_varint(message, position)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {kind}")
        if position + size > end:
            raise ValueError("the message is cut short")
        yield number, kind, message[position : position + size]
        position += size


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("the message is cut short")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number has more than ten bytes")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(value)) + value


def _entry(key: bytes, value: bytes) -> bytes:
    """An entry of a map field: a message {1: key, 2: value}."""
    return _bytes(1, key) + _bytes(2, value)
