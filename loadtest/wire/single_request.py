"""Single requests, for probes and checks outside the measured interval."""

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The answer to one request, or why there is none.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        body: The body.
        fault: What went wrong on the way, or nothing.
    """

    status: int
    body: bytes
    fault: str = ""

    @property
    def json(self) -> Any:
        """The parsed body, or the text of it where it is not JSON."""
        text = self.body.decode(errors="replace")
        try:
            return json.loads(text)
        except ValueError:
            return text


def request(
    host: str, port: int, path: str, body: bytes | None = None, *, timeout_s: float = 10.0, method: str = ""
) -> Answer:
    """Send one HTTP request: GET, or POST where there is a body.

    A failure is returned and not raised; an answer that is not complete in time is one.
    """
    connection = LimitedConnection(host, port, timeout_s)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, b"", f"{type(error).__name__}: {error}")
    finally:
        connection.close()


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
