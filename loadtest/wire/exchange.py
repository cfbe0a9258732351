"""Single requests over any wire format, for checks outside the measured interval."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from loadtest.servers.expectation import Anything
from loadtest.wire.grpc.single_call import call_each
from loadtest.wire.grpc.target import GrpcTarget, is_grpc
from loadtest.wire.single_request import Answer, request
from loadtest.wire.wire_format import Message


def ask_each(
    url: str, messages: Sequence[Message], timeout_s: float = 10.0, headers: Mapping[str, str] | None = None
) -> Iterator[Answer]:
    """Send requests one after the other.

    Args:
        url: ``http://`` address, or ``grpc://host:port/package.Service/Method``.
        messages: The requests.
        timeout_s: Limit for one of them, in seconds.
        headers: Header fields, or metadata, that each of them has beside its own.

    Yields:
        One answer for each, over gRPC with status 200 where the call succeeded; a failure is data and not raised.
    """
    if is_grpc(url):
        bodies = [message.body for message in messages]
        yield from call_each(GrpcTarget.build(url, bodies, Anything(), headers=headers), timeout_s)
        return
    at = urlsplit(url)
    for message in messages:
        fields = {"content-type": "application/json", **message.headers, **(headers or {})}
        yield request(at.hostname or "", at.port or 80, at.path, message.body, timeout_s=timeout_s, headers=fields)
