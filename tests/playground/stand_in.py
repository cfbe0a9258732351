"""Model servers of a few lines, that answer as a test says and note what reached them."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loadtest.playground.known_servers import KnownServer
from loadtest.playground.page_files import PageFiles
from loadtest.playground.page_models import PageModel
from loadtest.playground.page_server import PageServer
from loadtest.servers.server_folder import Server

Answering = Callable[[bytes], tuple[int, bytes]]


@dataclass(frozen=True)
class Arrived:
    """A request as it reached a stand-in."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class StandIn:
    """A model server of a test.

    Attributes:
        port: Where it listens.
        arrived: What reached it.
    """

    port: int
    arrived: list[Arrived] = field(default_factory=list)

    def known_as(self, server: Server, label: str, **changes: Any) -> KnownServer:
        """What the playground is told of it."""
        launches = tuple(replace(launch, label=label) for launch in server.launches)
        key = label.lower().replace(" ", "_")
        return KnownServer(replace(server, key=key, launches=launches), self.port, **{"headers": {}, **changes})


def predictions(probabilities: list[float]) -> bytes:
    """An answer as every server gives it."""
    return json.dumps({"predictions": [probabilities]}).encode()


def sure_of(index: int, count: int = 10) -> bytes:
    """An answer that is certain of one class."""
    return predictions([float(one == index) for one in range(count)])


@contextlib.contextmanager
def standing_in(answering: Answering) -> Iterator[StandIn]:
    """A server that answers each POST with the status and body that `answering` makes of the request's body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            stand_in.arrived.append(Arrived(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, answer = answering(body)
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in = StandIn(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def serving(
    *known: KnownServer, files: PageFiles | None = None, models: Mapping[str, PageModel] | None = None
) -> Iterator[PageServer]:
    """The playground's small server with these servers behind it."""
    models = models or {"digits": PageModel("digits", labels=tuple("0123456789"))}
    with PageServer(0, files or PageFiles(), {one.server.key: one for one in known}, models) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
