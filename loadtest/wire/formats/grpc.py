"""gRPC, each server with the messages of its own prediction API: see `loadtest.wire.grpc.messages`."""

from loadtest.wire.grpc.messages import message_format
from loadtest.wire.wire_format import Wire, WireFormat


def _format(model: str, path: str) -> WireFormat:
    return message_format(path, model)


WIRE = Wire("gRPC, tensors in binary", _format, scheme="grpc")
