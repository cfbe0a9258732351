"""Requests to the REST API and what is always true of their answers."""

import http.client
import json
from typing import Any

from tests.tf_serving.process import ServerProcess

SCALE = "/v1/models/scale"


def answer(server: ServerProcess, path: str, body: Any) -> Any:
    """The JSON of a successful request."""
    response = server.post(path, body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def error(server: ServerProcess, path: str, body: Any) -> tuple[int, str]:
    """Status and message of a request that must fail."""
    response = server.post(path, body)
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert list(document) == ["error"]
    return response.status_code, document["error"]


def http_request(server: ServerProcess, method: str, path: str, **headers: str) -> tuple[int, Any]:
    """Status and JSON of a request without a body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None
    finally:
        connection.close()
