"""gRPC transport: unary calls over HTTP/2, requests encoded once, answers checked one by one.

The protocol is "gRPC over HTTP/2" of the gRPC project (doc/PROTOCOL-HTTP2.md in grpc/grpc), with prior knowledge, or
with ALPN under TLS. As over HTTP/1.1, each slot has a connection of its own and one call in flight on it, so that a
figure over gRPC and one over REST differ by the wire format and not by how many connections the server reads from.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.errors import UsageError
from loadtest.servers.expectation import Expectation
from loadtest.wire.address import Address, for_refusal
from loadtest.wire.grpc import http2
from loadtest.wire.grpc.call_connection import CallConnection
from loadtest.wire.grpc.calls import Calls
from loadtest.wire.kept_connection import ConnectionPool

SCHEMES = ("grpc", "grpcs")
FORM = "of the form grpc://host:port/package.Service/Method"


def is_grpc(url: str) -> bool:
    """Whether an address is one of a gRPC method, well formed or not."""
    return url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


@dataclass(frozen=True)
class GrpcTarget:
    """A unary gRPC method and the calls of it.

    Attributes:
        host: Name or address to connect to.
        port: TCP port.
        tls: Whether to speak TLS.
        fields: The header blocks of a call.
        bodies: Length-prefixed request messages; call ``n`` uses number ``n mod len``.
        expectation: What a correct response message is.
        address: Resolved address; the host is looked up for each connection where it is empty.
    """

    host: str
    port: int
    tls: bool
    fields: http2.RequestFields
    bodies: Sequence[bytes]
    expectation: Expectation
    address: str = ""

    @classmethod
    def build(
        cls, url: str, messages: Sequence[bytes], expectation: Expectation, *, headers: Mapping[str, str] | None = None
    ) -> "GrpcTarget":
        """Encode one call per message.

        Args:
            url: ``grpc://host:port/package.Service/Method``, or ``grpcs://`` for TLS; see
                `loadtest.wire.address` for one with credentials.
            messages: Encoded request messages.
            expectation: The check of the response messages.
            headers: Metadata that is added, or replaces the default fields.

        Raises:
            UsageError: If the address or a header cannot be used.
        """
        at = Address.parse(url, SCHEMES, FORM)
        if len(at.path.split("/")) != 3:
            raise UsageError(f"{for_refusal(url)!r} is not {FORM}")
        fields = {
            ":path": at.path,
            ":authority": at.authority,
            "te": "trailers",
            "content-type": "application/grpc",
            "user-agent": "loadtest",
            **at.fields,
            **{name.lower(): value for name, value in (headers or {}).items()},
        }
        # Of the static table: 3 is :method POST, 6 and 7 are :scheme http and https.
        pseudo = b"\x83\x87" if at.tls else b"\x83\x86"
        blocks = http2.RequestFields.encode(pseudo, [_ascii(name, value) for name, value in fields.items()])
        if len(blocks.literal) > http2.MAX_FRAME:
            raise UsageError(f"the headers take {len(blocks.literal):,} bytes, allowed are {http2.MAX_FRAME:,}")
        bodies = [b"\0" + len(message).to_bytes(4, "big") + message for message in messages]
        return cls(at.host, at.port, at.tls, blocks, bodies, expectation)

    @property
    def payloads(self) -> int:
        """Number of different requests."""
        return len(self.bodies)

    def pool(self, connections: int, loop: asyncio.AbstractEventLoop) -> "GrpcPool":
        """Return unopened connections to the target."""
        return GrpcPool(self, connections, loop)


def _ascii(name: str, value: str) -> tuple[bytes, bytes]:
    text = name + value
    if not text.isascii() or not text.isprintable() or not name or " " in name:
        raise UsageError(f"the gRPC header {name!r} must be one word, and its value printable ASCII")
    return name.encode(), value.encode()


class GrpcPool(ConnectionPool):
    """The connections of one process to one gRPC server.

    Args:
        target: Where to, and what.
        connections: How many connections are kept.
        loop: The running event loop.
    """

    def __init__(self, target: GrpcTarget, connections: int, loop: asyncio.AbstractEventLoop) -> None:
        tls = ssl.create_default_context() if target.tls else None
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        super().__init__(target, loop, tls)
        calls = Calls(target.fields, target.bodies, target.expectation)
        self.slots: Sequence[CallConnection] = [CallConnection(self, calls) for _ in range(connections)]
