"""The playground's own small server: the page, and predictions passed on to the known servers.

Page and predictions have one origin, so that no model server has to be opened to others. It is for the browser of this
machine: it listens on loopback alone, and what another site's page could have a browser send is refused, be it by a
name that this site made point here (DNS rebinding: the Host is another) or straight away (the Origin is another).
Nothing but a prediction by a known server of a known model is passed on, whatever a request says.
"""

import contextlib
import errno
import json
import shutil
import socket
import socketserver
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from loadtest.errors import UsageError
from loadtest.machine.ports import listener
from loadtest.playground.known_servers import HOST, KnownServer, described
from loadtest.playground.page_files import INDEX, SERVED, TYPES, PageFiles
from loadtest.playground.page_models import PageModel

PREDICT = "predict"
JSON = "application/json"
IDLE_S = 30.0
"""A connection that brings nothing for so long is closed."""

BODY_S = 20.0
"""A body that is not whole by then is given up."""

UNREAD_S = 2.0
"""How long what is left of a refused body is read and thrown away, so that its sender gets to read the refusal."""

CHUNK = 64 * 1024
HTTP_PORT = 80  # which a browser does not name

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may do: nothing but load its own files and ask this server. index.html says the same."""

ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class RefusedError(Exception):
    """A request that is not served.

    Attributes:
        status: The HTTP status that says so.
    """

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class PageServer(ThreadingHTTPServer):
    """Listens on loopback until it is closed; each connection has a thread, none of which keeps the program alive.

    Args:
        port: TCP port; 0 for a free one.
        files: The page.
        servers: Those that may be asked, by key.
        models: Those that they may be asked for, by name.

    Raises:
        UsageError: If the port cannot be had.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, port: int, files: PageFiles, servers: Mapping[str, KnownServer], models: Mapping[str, PageModel]
    ) -> None:
        self.files, self.servers, self.models = files, servers, models
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UsageError(f"port {port} cannot be had ({error.strerror}): choose another with --port") from error
            who = listener(port)
            by = f" by {who}" if who else ""
            raise UsageError(f"port {port} is taken{by}: end that, or choose another with --port") from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """The names under which a browser may know this server."""
        names = {HOST, "localhost"}
        return {f"{name}:{self.server_port}" for name in names} | (names if self.server_port == HTTP_PORT else set())

    def server_bind(self) -> None:
        """Bind, without the look-up of this machine's name that `HTTPServer` does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that left; anything else is a fault of this program and is shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, and the second would wait 40 ms for an answer
    server_version, sys_version = "playground", ""
    timeout = IDLE_S
    _unread = False

    def do_GET(self) -> None:  # the name that the base class calls
        """Give out a file of the page, or what there is to ask."""
        self._answer(self._get)

    do_HEAD = do_GET  # noqa: N815  # as above

    def do_POST(self) -> None:  # as above
        """Pass a prediction on."""
        self._unread = True
        self._answer(self._predict)

    def _answer(self, work: Any) -> None:
        try:
            self._check_sender()
            work()
        except RefusedError as refused:
            self.send_error(refused.status, str(refused))

    def _check_sender(self) -> None:
        """Refuse what no page of this server's would send."""
        hosts = self.headers.get_all("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, f"this server is {self.server.url} and no other")
        origins = self.headers.get_all("origin", [])
        site = self.headers.get("sec-fetch-site", "none") if self.command == "POST" else "none"  # links may lead here
        if any(origin != f"http://{hosts[0].lower()}" for origin in origins) or site not in ("none", "same-origin"):
            raise RefusedError(HTTPStatus.FORBIDDEN, "requests of other sites' pages are not passed on")

    def _get(self) -> None:
        path = urlsplit(self.path).path.removeprefix("/") or "index.html"
        if path == SERVED:
            self._send_json(described(list(self.server.servers.values()), self.server.models))
        elif path == INDEX:
            self._send(self.server.files.index(), JSON)
        elif path.split("/")[0] == PREDICT:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "a prediction is asked for with POST")
        else:
            self._send_file(path)

    def _send_file(self, path: str) -> None:
        found = self.server.files.find(path)
        if found is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such file")
        try:
            file = found.open("rb")
        except OSError as error:
            raise RefusedError(HTTPStatus.NOT_FOUND, "the file cannot be read") from error
        with file:
            size = file.seek(0, 2)
            file.seek(0)
            self._head(HTTPStatus.OK, TYPES[found.suffix], size)
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile)

    def _predict(self) -> None:
        parts = urlsplit(self.path).path.removeprefix("/").split("/")
        if len(parts) != 3 or parts[0] != PREDICT:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, f"POST is for /{PREDICT}/SERVER/MODEL")
        server, model = self.server.servers.get(parts[1]), self.server.models.get(parts[2])
        if server is None or model is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such server or model here")
        if self.headers.get_content_type() != JSON or not self.headers.get("content-type"):
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a prediction is asked for with {JSON}")
        self._send_json(asdict(server.predict(model, self._body(model.max_request_bytes))))

    def _body(self, limit: int) -> bytes:
        lengths = self.headers.get_all("content-length", [])
        if self.headers.get("transfer-encoding") or not lengths:
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "a body needs its Content-Length")
        if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "Content-Length must be one number")
        if len(lengths[0]) > 12 or int(lengths[0]) > limit:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {limit:,} bytes")
        left, deadline, parts = int(lengths[0]), time.monotonic() + BODY_S, []
        while left:
            part = self.rfile.read1(min(left, CHUNK))
            if not part or time.monotonic() > deadline:
                raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "the body did not come")
            left -= len(part)
            parts.append(part)
        self._unread = False
        return b"".join(parts)

    def _send_json(self, content: object) -> None:
        self._send(json.dumps(content).encode(), JSON)

    def _send(self, content: bytes, media_type: str) -> None:
        self._head(HTTPStatus.OK, media_type, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, media_type: str, size: int, *, last: bool = False) -> None:
        self.send_response(status)
        for name, value in ALWAYS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(size))
        if last:
            self.send_header("Connection", "close")
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in one line of JSON and close the connection; the base class calls this for what it cannot read."""
        status = HTTPStatus(code)
        content = json.dumps({"error": message or status.phrase}).encode() + b"\n"
        self._head(status, JSON, len(content), last=True)
        if self.command != "HEAD":
            self.wfile.write(content)
        self.close_connection = True
        if self._unread:
            self._read_away()

    def _read_away(self) -> None:
        """Read what is left of a refused body; a connection closed on unread bytes is reset, and the refusal lost."""
        self.wfile.flush()
        deadline = time.monotonic() + UNREAD_S
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(UNREAD_S)
            while time.monotonic() < deadline and self.connection.recv(CHUNK):
                pass

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Keep silent: what a person asks for is on the page."""
