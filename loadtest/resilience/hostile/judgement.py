"""What an answer to a hostile request is worth."""

import re

from loadtest.resilience.hostile.conversation import LATE, LEFT, Reply
from loadtest.resilience.hostile.request import (
    ANSWERED,
    BARE,
    CLOSED,
    EXTRA,
    FAULT,
    NO_ANSWER,
    REFUSED,
    TRACE,
    WAITED,
    HostileRequest,
)

_TRACE = re.compile(
    r"Traceback \(most recent call last\)|File \"[^\"]+\", line \d+"
    r"|^\s*at [\w.$]+\([\w.]*:?\d*\)|\w\.(py|java|cc|rs):\d+",
    re.MULTILINE,
)
"""Of Python, of Java, and places in source files of C++ and Rust."""

_REFUSALS = frozenset({1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16})
"""gRPC codes that do not blame the server (https://grpc.github.io/grpc/core/md_doc_statuscodes.html)."""

_NOT_SUPPORTED = (501, 505)
"""A method, or a version of HTTP, that the server does not have: RFC 9110, 15.6.2 and 15.6.6."""


def judge(reply: Reply, request: HostileRequest, *, grpc: bool) -> str:
    """Name the outcome; `DIED` is for the runner to find.

    Args:
        reply: What came back.
        request: What it is for.
        grpc: Whether its status is one of gRPC.
    """
    if _TRACE.search(reply.text):
        return TRACE
    if reply.answers > request.answers:
        return EXTRA
    if reply.status < 0:
        return {LATE: WAITED if request.leaves else NO_ANSWER, LEFT: WAITED}.get(reply.ending, CLOSED)
    if grpc and reply.status <= 16:
        if reply.status == 0:
            return ANSWERED
        return (REFUSED if reply.reasoned else BARE) if reply.status in _REFUSALS else FAULT
    if reply.status < 400:
        return ANSWERED
    if reply.status >= 500 and reply.status not in _NOT_SUPPORTED:
        return FAULT
    return REFUSED if reply.reasoned else BARE


def keeps_rules(outcome: str, request: HostileRequest) -> bool:
    """Whether code of this project may end a request so."""
    return outcome == REFUSED or outcome in request.accepts
