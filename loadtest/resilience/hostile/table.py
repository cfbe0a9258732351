"""The table: every hostile request that applies to a server over a wire."""

from collections.abc import Iterator

from loadtest.errors import UsageError
from loadtest.launch.running import RunningServer
from loadtest.resilience.hostile.asked import Asked
from loadtest.resilience.hostile.http_bytes import post
from loadtest.resilience.hostile.http_framing import framing_requests
from loadtest.resilience.hostile.http_loads import large_requests, slow_requests
from loadtest.resilience.hostile.http_paths import path_requests
from loadtest.resilience.hostile.http_tensors import tensor_requests
from loadtest.resilience.hostile.json_bodies import json_bodies
from loadtest.resilience.hostile.request import HostileRequest, whole

HTTP, GRPC = "http", "grpc"
WIRES = (HTTP, GRPC)

EVERY = 4
"""Of each category, every so many requests are in a quick table; none that takes longer than most."""


def hostile_table(running: RunningServer, wire: str, *, quick: bool = False) -> list[HostileRequest]:
    """The requests for a server.

    Args:
        running: The server; the table is made from the model that it serves and the formats that it speaks.
        wire: ``http`` or ``grpc``.
        quick: A representative part only.

    Raises:
        UsageError: If there is no such wire, or the server does not speak it.
    """
    if wire not in WIRES:
        raise UsageError(f"no wire {wire!r} to be hostile over; there are: {', '.join(WIRES)}")
    asked = Asked.of(running)
    if wire == HTTP:
        table = list(_http(asked))
    else:
        from loadtest.resilience.hostile.grpc_calls import grpc_requests

        table = list(grpc_requests(asked, running.url_over("grpc")))
    return _part(table) if quick else table


def _http(asked: Asked) -> Iterator[HostileRequest]:
    for body in json_bodies(asked):
        content = post(asked.path, body.content)
        yield HostileRequest(body.name, body.category, whole(content), body.accepts, body.allowed)
    yield from tensor_requests(asked)
    yield from path_requests(asked)
    yield from framing_requests(asked)
    yield from large_requests(asked)
    yield from slow_requests(asked)


def _part(table: list[HostileRequest]) -> list[HostileRequest]:
    seen: dict[str, int] = {}
    part = []
    for request in table:
        at = seen[request.category] = seen.get(request.category, -1) + 1
        if at % EVERY == 0 and request.patience_s <= HostileRequest.patience_s:
            part.append(request)
    return part
