"""A hostile request: what is sent, and what counts as an acceptable end of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

REFUSED = "refused"
"""A status of the client's fault (4xx, over gRPC INVALID_ARGUMENT and its like) with a reason."""
BARE = "refused, no reason"
"""The same without a reason that a program can read."""
ANSWERED = "answered"
CLOSED = "closed"
"""The server ended the connection, or over HTTP/2 the stream, without an answer."""
WAITED = "waited"
"""The request was not at its end, and the server waited for the rest until the client left."""
FAULT = "5xx"
"""The server says that the fault is its own."""
TRACE = "stack trace"
EXTRA = "answered twice"
"""More answers than requests: something in the request was taken for another request."""
NO_ANSWER = "no answer"
DIED = "server died"

SLOW = "slow clients"
"""How the name of a category ends whose requests take longer than all others."""

OUTCOMES = (REFUSED, ANSWERED, CLOSED, WAITED, BARE, FAULT, TRACE, EXTRA, NO_ANSWER, DIED)
"""All of them, in the order of tables."""


@dataclass(frozen=True)
class Paced:
    """Bytes of a gRPC message that are sent in DATA frames of stream 1 as fast as the server's windows allow.

    Attributes:
        content: The bytes, length prefix included.
        ends: Whether the last frame ends the stream.
    """

    content: bytes
    ends: bool = True


class HalfClose:
    """The client sends nothing any more, and goes on reading."""


Part = bytes | float | Paced | HalfClose
"""What is sent next; a number is a pause in seconds."""


@dataclass(frozen=True)
class HostileRequest:
    """One entry of a table.

    Attributes:
        name: What it is, in a few words.
        category: What it belongs to in tables.
        parts: Makes what is sent; made anew for each connection, since some are hundreds of megabytes.
        accepts: Outcomes beside `REFUSED` that keep the rules.
        why: Why they do, with the section of the standard that says so.
        patience_s: Seconds after which there is no answer any more.
        leaves: Whether the client leaves once all is sent, in place of waiting for an answer.
        answers: How many answers there may be, where several requests are sent at once.
        connections: On how many connections it is sent at a time.
        deaf: Whether the client reads nothing before all is sent.
        watches_s: Seconds that a client which has its answers goes on listening for one more that nobody asked for.
    """

    name: str
    category: str
    parts: Callable[[], Iterable[Part]]
    accepts: frozenset[str] = frozenset()
    why: str = ""
    patience_s: float = 30.0
    leaves: bool = False
    answers: int = 1
    connections: int = 1
    deaf: bool = False
    watches_s: float = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether it takes longer than the others, which then do not wait for it."""
        return self.category.endswith(SLOW)


def whole(*parts: Part) -> Callable[[], Iterable[Part]]:
    """What makes the parts of a request that is small enough to be kept."""
    return lambda: parts
