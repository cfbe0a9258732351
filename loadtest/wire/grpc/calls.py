"""The calls of one target, encoded once for all connections of a process, and what is known of their answers."""

from collections.abc import Sequence

from loadtest.servers.expectation import Expectation
from loadtest.wire.grpc import http2

NEVER_FITS = 1 << 62


class Calls:
    """What the connections of one process share.

    Args:
        fields: The header blocks of a call.
        bodies: Length-prefixed request messages, one for each payload.
        expectation: What a correct response message is.

    Attributes:
        sizes: Size of each body, in bytes; beyond any window where it is too large to be written in one go.
        requests: Pieces of each call that can be written in one go.
        literal_requests: The same for servers that keep no header table.
        known_answers: Pattern of the read that brought a correct answer to each payload.
        verified: A correct response message to each payload.
        decoder: Decodes header blocks of all connections.
    """

    def __init__(self, fields: http2.RequestFields, bodies: Sequence[bytes], expectation: Expectation) -> None:
        self.fields = fields
        self.bodies = bodies
        self.expectation = expectation
        small = [body if len(body) <= http2.DEFAULT_WINDOW else b"" for body in bodies]
        self.sizes = [len(body) or NEVER_FITS for body in small]
        self.requests = [http2.request_pieces(fields.again, body) for body in small]
        self.literal_requests = [http2.request_pieces(fields.literal, body) for body in small]
        self.known_answers = [http2.ReadPattern()] * len(bodies)
        self.verified: list[bytes | None] = [None] * len(bodies)
        self.decoder = http2.FieldDecoder()
