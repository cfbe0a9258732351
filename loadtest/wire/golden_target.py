"""Examples of an artifact as requests of something to put under load: over REST and over gRPC."""

from urllib.parse import urlsplit

from loadtest.servers.artifact import Artifact
from loadtest.servers.examples import Examples
from loadtest.wire.grpc.messages import GoldenMessages, message_format, request_messages
from loadtest.wire.grpc.target import GrpcTarget
from loadtest.wire.http1 import HttpTarget


def rest_target(url: str, examples: Examples, batch: int = 1) -> HttpTarget:
    """The inputs as POST requests, checked against the right answers.

    Args:
        url: Address of the REST prediction.
        examples: Of the model that is served there.
        batch: Instances in one request.
    """
    return HttpTarget.build(url, examples.bodies(batch), examples.expectation(batch))


def grpc_target(url: str, artifact: Artifact, examples: Examples, batch: int = 1) -> GrpcTarget:
    """The inputs as gRPC calls, checked against the right answers.

    Args:
        url: ``grpc://host:port/package.Service/Method``.
        artifact: The model that is served there.
        examples: Of this model.
        batch: Instances in one request.

    Raises:
        UsageError: If the messages of the method are not known.
    """
    form = message_format(urlsplit(url).path, artifact)
    expectation = GoldenMessages(form, examples.expectation(batch))
    return GrpcTarget.build(url, request_messages(form, examples, batch), expectation)
