"""Examples of an artifact as requests to put a server under load with, in any wire format: built here alone."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from loadtest.servers.examples import Examples
from loadtest.servers.expectation import Expectation
from loadtest.servers.server_folder import DEFAULT_WIRE
from loadtest.wire.formats import find_wire
from loadtest.wire.grpc.target import GrpcTarget, is_grpc
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


def golden_target(
    wire: str, url: str, model: str, examples: Examples, batch: int = 1, headers: Mapping[str, str] | None = None
) -> Target:
    """The inputs as requests, checked against the right answers.

    Args:
        wire: Name of the wire format.
        url: Address of the prediction: ``http://``, or ``grpc://host:port/package.Service/Method``.
        model: Name of the model that is served there.
        examples: Of this model.
        batch: Instances in one request.
        headers: Header fields, or metadata, that each request has beside its own.

    Raises:
        UsageError: See `format_at`.
    """
    messages, expectation = golden_requests(format_at(wire, url, model), examples, batch)
    return build_target(url, messages, expectation, headers=headers)


def build_target(
    url: str,
    messages: Sequence[Message],
    expectation: Expectation,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Target:
    """Requests to an address, over the transport that its scheme names.

    Args:
        url: ``http://`` or ``grpc://`` address, or one with TLS.
        messages: The requests.
        expectation: The check of the answers.
        method: HTTP method.
        headers: Header fields, or metadata, that are added or replace others.

    Raises:
        UsageError: If the address, the method or a header cannot be used.
    """
    bodies = [message.body for message in messages]
    if is_grpc(url):
        return GrpcTarget.build(url, bodies, expectation, headers=headers)
    each = [message.headers for message in messages]
    return HttpTarget.build(url, bodies, expectation, method=method, headers=headers, each=each)


def rest_target(url: str, examples: Examples, batch: int = 1, headers: Mapping[str, str] | None = None) -> HttpTarget:
    """The inputs as POST requests with JSON, row by row.

    Args:
        url: Address of the REST prediction.
        examples: Of the model that is served there.
        batch: Instances in one request.
        headers: Header fields that each request has beside its own.
    """
    target = golden_target(
        DEFAULT_WIRE, url, "", examples, batch, headers
    )  # whose requests do not hold the model's name
    assert isinstance(target, HttpTarget)
    return target
