"""Single requests with headers, and how they are written down as evidence."""

import gzip
import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from loadtest.launch.running import RunningServer
from loadtest.servers.server_folder import HttpGet, fill
from loadtest.setup.probes.capability import Exchange, excerpt
from loadtest.wire.single_request import Answer, LimitedConnection

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class ProbeRequest:
    """One HTTP request.

    Attributes:
        path: Path with query.
        body: Body; None for a GET.
        headers: Header fields.
        port: Name of the port in ``[ports]``.
        method: GET or POST by the body, unless given.
        label: What is said of it in the evidence, beside method, port and path.
    """

    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))
    port: str = "rest"
    method: str = ""
    label: str = ""

    @property
    def verb(self) -> str:
        """The method that is sent."""
        return self.method or ("GET" if self.body is None else "POST")

    def __str__(self) -> str:
        said = f" ({self.label})" if self.label else ""
        return f"{self.verb} {self.port}:{self.path}{said}"


@dataclass(frozen=True)
class ProbeReply:
    """The answer to a `ProbeRequest`, or why there was none.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        headers: Header fields, names in lower case.
        body: The body as it came, or unpacked where it came as gzip.
        packed: Whether it came as gzip.
        fault: What went wrong on the way, or nothing.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    packed: bool = False
    fault: str = ""

    def __str__(self) -> str:
        if self.fault:
            return self.fault
        return f"{self.status}{', gzip' if self.packed else ''}: {excerpt(self.body) or '(empty)'}"


def reply_of(answer: Answer) -> ProbeReply:
    """An answer that the launcher got, as a reply; its headers are not looked at."""
    return ProbeReply(answer.status, {}, answer.body, fault=answer.fault)


def ask(running: RunningServer, call: ProbeRequest, timeout_s: float = 10.0) -> ProbeReply:
    """Send one request; a failure is returned and not raised."""
    connection = LimitedConnection(running.host, running.ports[call.port], timeout_s)
    headers = {**running.headers, **(call.headers if call.body is not None else {})}
    try:
        connection.request(call.verb, call.path, body=call.body, headers=headers)
        response = connection.getresponse()
        body = response.read()
        fields = {name.lower(): value for name, value in response.getheaders()}
        packed = fields.get("content-encoding", "").lower() == "gzip"
        return ProbeReply(response.status, fields, gzip.decompress(body) if packed else body, packed)
    except (OSError, EOFError, http.client.HTTPException) as error:
        return ProbeReply(0, {}, b"", fault=f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def is_golden(running: RunningServer, reply: ProbeReply) -> bool:
    """Whether a reply is the right answer to golden example 0."""
    return reply.status == 200 and running.artifact.expectation().matches(0, reply.body)


def get(running: RunningServer, probe: HttpGet) -> tuple[ProbeRequest, ProbeReply]:
    """Send a declared GET request the way the launcher does, which reaches a container's own loopback too."""
    context = {"workload": running.artifact.workload, "version": running.artifact.version, "host": running.host}
    call = ProbeRequest(fill(probe.path, context), port=probe.port)
    return call, reply_of(running.probe(probe))


def leaves(document: object) -> Iterator[object]:
    """Keys and values of a JSON document, however deep."""
    if isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from leaves(value)
    elif isinstance(document, list):
        for value in document:
            yield from leaves(value)
    else:
        yield document


def seen(call: ProbeRequest, reply: ProbeReply) -> Exchange:
    """A request and its answer as evidence."""
    return Exchange(str(call), str(reply))
