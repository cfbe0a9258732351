"""Examples of an artifact as requests to put a server under load with, in any wire format: built here alone."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from loadtest.servers.examples import Examples
from loadtest.servers.expectation import Expectation
from loadtest.wire.formats import find_wire
from loadtest.wire.grpc.target import GrpcTarget
from loadtest.wire.http1 import HttpTarget
from loadtest.wire.wire_format import Message, WireFormat, golden_requests

Target = HttpTarget | GrpcTarget


def format_at(wire: str, url: str, model: str) -> WireFormat:
    """The wire format as it is spoken at an address.

    Args:
        wire: Name of the wire format.
        url: Address of the prediction.
        model: Name of the model that is served there.

    Raises:
        UsageError: If there is no such format, or the messages of the gRPC method are not known.
    """
    return find_wire(wire).format(model, urlsplit(url).path)


def golden_target(wire: str, url: str, model: str, examples: Examples, batch: int = 1) -> Target:
    """The inputs as requests, checked against the right answers.

    Args:
        wire: Name of the wire format.
        url: Address of the prediction: ``http://``, or ``grpc://host:port/package.Service/Method``.
        model: Name of the model that is served there.
        examples: Of this model.
        batch: Instances in one request.

    Raises:
        UsageError: See `format_at`.
    """
    messages, expectation = golden_requests(format_at(wire, url, model), examples, batch)
    return build_target(url, messages, expectation)


def build_target(url: str, messages: Sequence[Message], expectation: Expectation) -> Target:
    """Requests to an address, over the transport that its scheme names."""
    bodies = [message.body for message in messages]
    if url.startswith("grpc"):
        return GrpcTarget.build(url, bodies, expectation)
    return HttpTarget.build(url, bodies, expectation, each=[message.headers for message in messages])


def rest_target(url: str, examples: Examples, batch: int = 1) -> HttpTarget:
    """The inputs as POST requests with JSON, row by row.

    Args:
        url: Address of the REST prediction.
        examples: Of the model that is served there.
        batch: Instances in one request.
    """
    return HttpTarget.build(url, examples.bodies(batch), examples.expectation(batch))
