"""Single HTTP requests, for probes and checks outside the measured interval."""

import http.client
import io
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The answer to one request, or why there is none.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        body: The body as it came, packed or not.
        fault: What went wrong on the way, or nothing.
        headers: Header fields, names in lower case. Two answers that differ in nothing else are equal: a ``date`` is
            enough to make the fields differ.
    """

    status: int
    body: bytes
    fault: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def json(self) -> Any:
        """The parsed body, or the text of it where it is not JSON."""
        text = self.body.decode(errors="replace")
        try:
            return json.loads(text)
        except ValueError:
            return text


def request(
    host: str,
    port: int,
    path: str,
    body: bytes | None = None,
    *,
    timeout_s: float = 10.0,
    method: str = "",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one HTTP request on a connection of its own.

    Args:
        host: Name or address.
        port: TCP port.
        path: Path with query.
        body: Body; None for a request without one.
        timeout_s: Limit for everything together, in seconds.
        method: GET or POST by the body, unless given.
        headers: Header fields; a body is declared as JSON unless they are given.

    Returns:
        The answer. A failure is returned and not raised; an answer that is not complete in time is one.
    """
    if headers is None:
        headers = {"Content-Type": "application/json"} if body is not None else {}
    connection = LimitedConnection(host, port, timeout_s)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body=body, headers=dict(headers))
        return _answer(connection.getresponse())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, b"", f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def parse_answer(raw: bytes) -> Answer:
    """Read an HTTP answer that came by another way than a connection of this process."""
    response = http.client.HTTPResponse(_Received(raw))  # type: ignore[arg-type]  # it only calls makefile
    try:
        response.begin()
        return _answer(response)
    except http.client.HTTPException as error:
        return Answer(0, b"", f"{type(error).__name__}: {error}")


def _answer(response: http.client.HTTPResponse) -> Answer:
    body = response.read()
    return Answer(response.status, body, headers={name.lower(): value for name, value in response.getheaders()})


class _Received:
    """Bytes in the place of a socket, as far as http.client reads from one."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


class LimitedConnection(http.client.HTTPConnection):
    """A connection for one request that ends within its timeout, however slowly the server sends its answer.

    Args:
        host: Name or address.
        port: TCP port.
        timeout_s: Limit for everything together, in seconds.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._deadline = time.monotonic() + timeout_s

    def connect(self) -> None:
        """Connect, and limit what follows to the time that is left."""
        super().connect()
        self.sock = _LimitedSocket(self.sock, self._deadline)


class _LimitedSocket(socket.socket):
    """A socket whose timeout does not begin anew with every read."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        super().__init__(fileno=connected.detach())
        self._deadline = deadline
        self._limit()

    def _limit(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)

    def recv_into(self, *arguments: Any) -> int:
        """Read as much as there is, or wait for it until the deadline."""
        self._limit()
        return super().recv_into(*arguments)
