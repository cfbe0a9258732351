"""Octets as strings over gRPC, which TensorFlow Serving's graph decodes."""

from dataclasses import dataclass

from loadtest.servers.examples import Tensors
from loadtest.wire.grpc.messages import TensorFlowServing
from loadtest.wire.grpc.tensor_proto import encode_strings
from loadtest.wire.octet_strings import SIGNATURE, has_signature, octet_strings
from loadtest.wire.wire_format import Message, Wire


@dataclass(frozen=True)
class OctetStrings(TensorFlowServing):
    """Messages of TensorFlow Serving's Predict; the answer is that of `grpc`."""

    signature: str = SIGNATURE

    def request(self, inputs: Tensors) -> Message:
        """A PredictRequest of a tensor of strings for each input."""
        return self.predict_request({name: encode_strings(one) for name, one in octet_strings(inputs).items()})


WIRE = Wire("octets as strings over gRPC", lambda model, path: OctetStrings(model), scheme="grpc", takes=has_signature)
