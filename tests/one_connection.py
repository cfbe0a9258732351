"""A client that asks one question after the other over one connection, for tests of how a server stops."""

import http.client
from collections.abc import Callable

from loadtest.servers.artifact import Artifact

BEFORE = 20
"""So many answers come before the server is told to stop."""


def ask_until_refused(host: str, port: int, path: str, artifact: Artifact, stop: Callable[[], None]) -> bool:
    """Ask without a pause, tell the server to stop, and go on until it takes no connection any more.

    Every request that was sent has to be answered rightly.

    Returns:
        Whether an answer after the stop said that its connection is closed.
    """
    connection = http.client.HTTPConnection(host, port, timeout=60)
    golden, answered, told = artifact.expectation(), 0, False
    while True:
        try:
            if connection.sock is None:
                connection.connect()
        except ConnectionRefusedError:
            return told
        connection.request("POST", path, artifact.example_body(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200
        assert golden.matches(0, response.read())
        answered += 1
        closing = response.headers["Connection"] == "close"
        assert not closing or answered > BEFORE
        told = told or closing
        if answered == BEFORE:
            stop()
