"""Single requests, for probes and checks outside the measured interval."""

import http.client
import json
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

    A failure is returned and not raised.
    """
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, b"", f"{type(error).__name__}: {error}")
    finally:
        connection.close()
