"""What the REST API answers to requests that are wrong, too large, or no requests of this API."""

import gzip
import http.client
import json
import socket
from collections.abc import Iterator

import pytest
import requests

from tests.tf_serving.process import ServerProcess
from tests.tf_serving.rest_client import SCALE, answer, error, http_request

LIMIT = 128 * 1024 * 1024
DEEP = b"[" * 100 + b"1" + b"]" * 100


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (f"{SCALE}:predict", b"", 400, "JSON Parse error: The document is empty"),
        (f"{SCALE}:predict", b"{bad", 400, "JSON Parse error: "),
        (f"{SCALE}:predict", b'{"instances": [[1,2]', 400, "JSON Parse error: "),
        (f"{SCALE}:predict", b"\xff", 400, "JSON Parse error: "),
        (f"{SCALE}:predict", b"[" * 100_000, 400, "JSON Parse error: "),
        (f"{SCALE}:predict", b'{"instances": [[1,2]]} x', 400, "JSON Parse error: "),
        (f"{SCALE}:predict", b'{"instances": [[1, 1e400]]}', 400, "Number too big to be stored in double."),
        (f"{SCALE}:predict", b'{"instances": [[1, ' + b"1" * 5000 + b"]]}", 400, "Number too big"),
        (f"{SCALE}:predict", rb'{"instances": ["\ud800"]}', 400, "The surrogate pair in string is invalid."),
        (f"{SCALE}:predict", rb'{"instances": [NaN, "\udc00"]}', 400, "The surrogate pair in string is invalid."),
        (f"{SCALE}:predict", rb'{"\ud800": [[1,2]]}', 400, "The surrogate pair in string is invalid."),
        (
            f"{SCALE}:predict",
            rb'{"instances": [[1,2]], "signature_name": "\ud800"}',
            400,
            "The surrogate pair in string is invalid.",
        ),
        (f"{SCALE}:predict", b'{"inputs": ' + DEEP + b"}", 400, "nested too deeply for a tensor"),
        (f"{SCALE}:predict", b'{"instances": [' + DEEP + b"]}", 400, "nested too deeply for a tensor"),
        (
            "/v1/models/numbers:predict",
            b'{"inputs": ' + DEEP + b', "signature_name": "float32"}',
            400,
            "nested too deeply for a tensor",
        ),
        (f"{SCALE}/versions/{'9' * 5000}:predict", b"{}", 400, "Failed to convert version: 999"),
        (f"{SCALE}:predict", b"[1]", 400, "JSON Value: [1] Is not object"),
        (f"{SCALE}:predict", b"{}", 400, "Missing 'inputs' or 'instances' key"),
        (f"{SCALE}:predict", b'{"instances": []}', 400, "No values in 'instances' array"),
        (f"{SCALE}:predict", b'{"instances": 3}', 400, "Expecting 'instances' to be an list/array"),
        (f"{SCALE}:predict", b'{"instances": [[1,2]], "inputs": [[1,2]]}', 400, "only one of 'inputs' or 'instances'"),
        (
            f"{SCALE}:predict",
            b'{"instances": [[1,2]], "signature_name": 3}',
            400,
            "'signature_name' key must be a string",
        ),
        (
            f"{SCALE}:predict",
            b'{"instances": [[1,2]], "signature_name": "no"}',
            400,
            'Serving signature name: "no" not found in signature def',
        ),
        (
            f"{SCALE}:predict",
            b'{"instances": [[1, "2"]]}',
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
            'JSON Value: "2" Type: String is not of expected type: float',
        ),
        (f"{SCALE}:predict", b'{"instances": [["1", "2"]]}', 400, "Type: String is not of expected type: float"),
        (f"{SCALE}:predict", b'{"instances": [[1, true]]}', 400, "Type: True is not of expected type: float"),
        (f"{SCALE}:predict", b'{"instances": [[1, null]]}', 400, "Type: Null is not of expected type: float"),
        (f"{SCALE}:predict", b'{"instances": [[1, 2], [1]]}', 400, "Expecting shape [2] but got: [1]"),
        (f"{SCALE}:predict", b'{"instances": [[1, [2]]]}', 400, "Encountered list at unexpected level: 1 expected < 1"),
        (f"{SCALE}:predict", b'{"instances": [[1, 2], 3]}', 400, "Failed to process element: 1 of 'instances' list."),
        (f"{SCALE}:predict", b'{"inputs": [[1, 2], [3]]}', 400, "Encountered list at unexpected size: 1 at level: 1"),
        (f"{SCALE}:predict", b'{"instances": [[1, 2, 3]]}', 400, "input x must have shape [-1,2], not [1,3]"),
        (f"{SCALE}:predict", b'{"instances": [{"z": [1, 2]}]}', 400, "JSON object: does not have named input: z"),
        (
            f"{SCALE}:predict",
            b'{"instances": [[1, 2], {"x": [1, 2]}]}',
            400,
            "Expecting value/list but got object at item 1",
        ),
        (
            "/v1/models/named:predict",
            b'{"instances": [1]}',
            400,
            "instances is a plain list, but expecting list of objects",
        ),
        ("/v1/models/named:predict", b'{"inputs": [1]}', 400, "inputs is a plain value/list, but expecting an object"),
        ("/v1/models/named:predict", b'{"inputs": {"a": [1]}}', 400, "Missing named input: b in 'inputs' object."),
        ("/v1/models/named:predict", b'{"instances": [{"a": 1}]}', 400, "keys must be equal to: a,b"),
        (
            "/v1/models/named:predict",
            b'{"instances": [{"a": 1, "b": [1, 2.5]}]}',
            400,
            "Type: Number is not of expected type: int32",
        ),
        (
            "/v1/models/named:predict",
            b'{"instances": [{"a": 1, "b": [1, 2147483648]}]}',
            400,
            "is not of expected type: int32",
        ),
        (
            "/v1/models/text:predict",
            b'{"instances": [1]}',
            400,
            "JSON Value: 1 Type: Number is not of expected type: string",
        ),
        ("/v1/models/text:predict", b'{"instances": [{"b64": "!"}]}', 400, "Unable to base64 decode"),
        ("/v1/models/text:predict", b'{"instances": [{"b64": "AA="}]}', 400, "Unable to base64 decode"),
        (
            "/v1/models/named:predict",
            b'{"instances": [{"a": 1, "b": [1, 2]}, {"b64": "AA=="}]}',
            400,
            "Expecting object but got list at item 1 of input list",
        ),
        ("/v1/models/numbers:predict", b'{"inputs": 1.5, "signature_name": "float16"}', 501, "to type: half"),
        (
            "/v1/models/numbers:predict",
            b'{"instances": [1.5], "signature_name": "total"}',
            400,
            "Tensor name: y has no shape information ",
        ),
        ("/v1/models/batch:predict", b'{"instances": [[-1]]}', 400, "negative"),
        ("/v1/models/foo:predict", b'{"instances": [1]}', 404, "Servable not found for request: Latest(foo)"),
        (
            f"{SCALE}/versions/2:predict",
            b'{"instances": [1]}',
            404,
            "Servable not found for request: Specific(scale, 2)",
        ),
        (f"{SCALE}/labels/no:predict", b'{"instances": [1]}', 400, "Unrecognized servable version label: no"),
        (f"{SCALE}:explain", b"{}", 400, f"Malformed request: POST {SCALE}:explain"),
        (f"{SCALE}:predict?x=1", b"{}", 400, f"Malformed request: POST {SCALE}:predict?x=1"),
        (f"{SCALE}/versions/99999999999999999999:predict", b"{}", 400, "Failed to convert version: "),
        (f"{SCALE}/versions/0:predict", b"{}", 404, "Servable not found for request: Specific(scale, 0)"),
        ("/elsewhere", b"{}", 404, "Not found: /elsewhere"),
    ],
)
def test_bad_requests(server: ServerProcess, path: str, body: bytes, status: int, message: str) -> None:
    """Every fault is told in JSON, with the real server's status and, where it has one, its text."""
    found, text = error(server, path, body)
    assert (found, message in text) == (status, True), (found, text)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("PUT", f"{SCALE}:predict", 400, f"Malformed request: PUT {SCALE}:predict"),
        ("DELETE", SCALE, 400, f"Malformed request: DELETE {SCALE}"),
        ("GET", f"{SCALE}:predict", 400, f"Malformed request: GET {SCALE}:predict"),
        ("GET", f"{SCALE}/versions/{'9' * 5000}", 400, f"Failed to convert version: {'9' * 5000} to numeric."),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/foo", 404, "Could not find any versions of model foo"),
        ("GET", f"{SCALE}/versions/2", 404, "Could not find version 2 of model scale"),
        ("GET", "/v1/models/foo/metadata", 404, "Servable not found for request: Latest(foo)"),
        ("GET", "/", 404, "Not found: /"),
    ],
)
def test_methods_and_paths(server: ServerProcess, method: str, path: str, status: int, message: str) -> None:
    """What is no request of this API is refused the way the real server refuses it."""
    assert http_request(server, method, path) == (status, {"error": message})


def test_a_large_body_is_only_a_bad_request(server: ServerProcess) -> None:
    """Numbers or text of many megabytes are read and refused, and the server goes on."""
    size = 32 * 1024 * 1024
    status, message = error(server, f"{SCALE}:predict", b'{"instances": [[' + b"1.5," * (size // 4) + b"1.5]]}")
    assert status == 400
    assert "must have shape" in message
    status, message = error(server, f"{SCALE}:predict", b'{"instances": ["' + b"x" * size + b'"]}')
    assert status == 400
    assert len(message) < 1000
    assert answer(server, f"{SCALE}:predict", {"instances": [[1, 2]]}) == {"predictions": [[30.0, 60.0]]}


def test_a_body_beyond_the_limit_is_413(server: ServerProcess) -> None:
    """Whether it is sent whole, in parts, or only inflates to that size; the connection hears it in full."""

    def stream() -> Iterator[bytes]:
        for _ in range(129):
            yield b" " * 1024 * 1024

    for response in (
        server.post(f"{SCALE}:predict", b" " * (LIMIT + 1)),
        server.post(f"{SCALE}:predict", gzip.compress(b" " * (LIMIT + 1)), headers={"Content-Encoding": "gzip"}),
        requests.post(f"{server.url}{SCALE}:predict", data=stream(), timeout=60),
    ):
        assert response.status_code == 413
        assert response.json() == {"error": f"the request body exceeds {LIMIT} bytes"}


START = b"POST /v1/models/scale:predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"no HTTP at all\r\n\r\n", 400),
        (START + b"No colon here\r\n\r\n", 400),
        (START + b"X: 1\r\n" * 100_000, 431),
        (START + b"X: " + b"a" * 500_000, 431),
        (START + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: 12345\r\n" * 100_000, 431),
        (START + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (START + b"Content-Length: 1000000000000\r\n\r\n", 413),
    ],
)
def test_what_ends_before_its_body_does(server: ServerProcess, sent: bytes, status: int) -> None:
    """A head that is no HTTP or too large, a body that cannot be read: a reason in JSON, and the connection ends."""
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as connection:
        connection.sendall(sent)
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = response.read()
        assert (response.status, response.headers["Content-Type"]) == (status, "application/json")
        assert len(json.loads(body)["error"]) > 10
        assert response.headers["Connection"] == "close"
    assert answer(server, f"{SCALE}:predict", {"instances": [[1, 2]]}) == {"predictions": [[30.0, 60.0]]}
