"""The servers that the playground asks: known ones, at this machine's loopback, for predictions of known models."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.errors import UsageError
from loadtest.playground.page_models import PageModel
from loadtest.servers.server_folder import DEFAULT_WIRE, Server, fill
from loadtest.servers.server_toml import MAX_PORT, select_servers
from loadtest.wire.single_request import request

HOST = "127.0.0.1"
PATIENCE_S = 10.0
"""A server that has not answered by then is told to be too slow, in seconds."""

PORT_SIGN = "="


@dataclass(frozen=True)
class Exchange:
    """What became of one request to a server.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        answer: The body as text.
        fault: Why there was none.
        exchange_ms: From before the connection is opened until the answer is read, in milliseconds.
    """

    status: int
    answer: str
    fault: str
    exchange_ms: float


@dataclass(frozen=True)
class KnownServer:
    """A server folder's server, at one port.

    Attributes:
        server: Its contract.
        port: Of its REST API.
        headers: With the token that it asks for, if any. The page never sees it.
        patience_s: Seconds that an answer may take.
    """

    server: Server
    port: int
    headers: Mapping[str, str]
    patience_s: float = PATIENCE_S

    @property
    def label(self) -> str:
        """What the page calls it: all that its port may hide, since nothing tells a server from its stand-in."""
        return " or ".join(dict.fromkeys(launch.label or self.server.label for launch in self.server.launches))

    def path(self, model: PageModel) -> str:
        """Path of a prediction."""
        names = {"workload": model.name, "version": model.version, "host": HOST, "ports": {"rest": self.port}}
        return fill(self.server.wires[DEFAULT_WIRE].path, names)

    def predict(self, model: PageModel, body: bytes) -> Exchange:
        """Send one prediction over REST; a failure is told and not raised."""
        headers = {"Content-Type": "application/json", **self.headers}
        began = time.perf_counter()
        answer = request(HOST, self.port, self.path(model), body, timeout_s=self.patience_s, headers=headers)
        took_ms = (time.perf_counter() - began) * 1000
        return Exchange(answer.status, answer.body.decode(errors="replace"), answer.fault, took_ms)

    def describe(self, models: Mapping[str, PageModel]) -> dict[str, Any]:
        """What the page is told of it: where it can be asked, and the variable of its token, but not the token."""
        return {
            "key": self.server.key,
            "label": self.label,
            "urls": {name: f"http://{HOST}:{self.port}{self.path(model)}" for name, model in models.items()},
            "token_variable": self.server.token_variable if self.headers else "",
        }


def known_servers(wanted: str | None, servers: Mapping[str, Server]) -> dict[str, KnownServer]:
    """The servers that ``--servers`` names, by key.

    Args:
        wanted: Keys between commas, each with ``=PORT`` where its REST API is not at its default port; None: all.
        servers: Those that there are.

    Raises:
        UsageError: If a key or a port is none, or a token cannot be read.
    """
    ports: dict[str, int] = {}
    keys: list[str] = []
    for word in (wanted or ",".join(key for key in servers if ":" not in key)).split(","):
        key, sign, port = (part.strip() for part in word.partition(PORT_SIGN))
        keys.append(key)
        if sign:
            ports[key] = _port(key, port)
    return {
        one.key: KnownServer(one, ports.get(one.key, one.ports[one.endpoint(DEFAULT_WIRE).port]), one.token_headers())
        for one in select_servers(",".join(keys), servers)
    }


def _port(key: str, text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= port <= MAX_PORT:
        raise UsageError(f"--servers {key}{PORT_SIGN}{text}: the port must be a number from 1 to {MAX_PORT}")
    return port


def described(servers: Sequence[KnownServer], models: Mapping[str, PageModel]) -> dict[str, Any]:
    """What the page reads at its start."""
    return {
        "servers": [one.describe(models) for one in servers],
        "workloads": {
            name: {"labels": list(model.labels), "tolerance": model.tolerance} for name, model in models.items()
        },
    }
