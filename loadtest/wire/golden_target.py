"""The golden requests of an artifact, as something to put under load: over REST and over gRPC."""

from urllib.parse import urlsplit

from loadtest.servers.artifact import Artifact
from loadtest.wire.grpc.messages import GoldenMessages, golden_requests, message_format
from loadtest.wire.grpc.target import GrpcTarget
from loadtest.wire.http1 import HttpTarget


def rest_target(url: str, artifact: Artifact, batch: int = 1) -> HttpTarget:
    """The golden inputs as POST requests, checked against the golden answers.

    Args:
        url: Address of the REST prediction.
        artifact: The model that is served there.
        batch: Instances in one request.
    """
    return HttpTarget.build(url, artifact.bodies(batch), artifact.expectation(batch))


def grpc_target(url: str, artifact: Artifact, batch: int = 1) -> GrpcTarget:
    """The golden inputs as gRPC calls, checked against the golden answers.

    Args:
        url: ``grpc://host:port/package.Service/Method``.
        artifact: The model that is served there.
        batch: Instances in one request.

    Raises:
        UsageError: If the messages of the method are not known.
    """
    form = message_format(urlsplit(url).path, artifact)
    expectation = GoldenMessages(form, artifact.expectation(batch))
    return GrpcTarget.build(url, golden_requests(form, artifact, batch), expectation)
