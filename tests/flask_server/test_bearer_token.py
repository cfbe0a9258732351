import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from flask_server.app import create_app
from flask_server.bearer_token import BearerToken, BearerTokenError
from loadtest.experiments.parity import check_parity
from loadtest.launch.local import LocalServer
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server
from tests.flask_server.test_slow_bodies import serving

TOKEN = "0123456789abcdef0123456789ABCDEF-._~"
PREDICT = "/v1/models/digits:predict"
LARGE = b'{"instances": [' + b" " * 100_000


@pytest.fixture(scope="module")
def server(
    artifact: Artifact, servers: Mapping[str, Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    """The server, which asks for a token out of a file."""
    file = tmp_path_factory.mktemp("secrets") / "token"
    file.write_text(f"{TOKEN}\n")
    with serving(servers["flask_server"], artifact, FLASK_SERVER_BEARER_TOKEN_FILE=str(file)) as running:
        yield running


def ask(
    server: LocalServer, authorization: str | None, path: str = PREDICT, body: bytes | None = b"{}"
) -> tuple[int, http.client.HTTPMessage, Any]:
    """One request: the status, the headers and the parsed body of its answer."""
    connection = http.client.HTTPConnection(server.host, server.ports["rest"], timeout=60)
    fields = {"Content-Type": "application/json"} | ({} if authorization is None else {"Authorization": authorization})
    try:
        connection.request("GET" if body is None else "POST", path, body, fields)
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_right_token_is_answered(server: LocalServer, artifact: Artifact, scheme: str) -> None:
    """With the token the answer is the golden one; the name of the scheme may be written in any case."""
    status, _, answer = ask(server, f"{scheme} {TOKEN}", body=artifact.example_body())
    assert status == 200
    assert artifact.expectation().matches(0, json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, 'Bearer realm="flask_server"'),
        ("", 'Bearer realm="flask_server"'),
        (f"Basic {TOKEN}", 'Bearer realm="flask_server"'),
        (TOKEN, 'Bearer realm="flask_server"'),
        ("Bearer", 'Bearer realm="flask_server", error="invalid_token"'),
        (f"Bearer {TOKEN[:-1]}", 'Bearer realm="flask_server", error="invalid_token"'),
        (f"Bearer {TOKEN}x", 'Bearer realm="flask_server", error="invalid_token"'),
        (f"Bearer {TOKEN.upper()}", 'Bearer realm="flask_server", error="invalid_token"'),
    ],
)
def test_anything_else_is_refused(
    server: LocalServer, artifact: Artifact, authorization: str | None, challenge: str
) -> None:
    """Without the token comes a 401 in JSON with the challenge of RFC 6750, whatever is asked."""
    for path, body in (
        (PREDICT, artifact.example_body()),
        (PREDICT, LARGE),
        ("/v1/models/digits", None),
        ("/nowhere", b"{}"),
    ):
        status, headers, answer = ask(server, authorization, path, body)
        assert (status, headers["WWW-Authenticate"], list(answer)) == (401, challenge, ["error"]), (path, answer)
        assert TOKEN not in str(answer)


@pytest.mark.parametrize(
    "authorization", ["Bearer \xe9\xff", "Bearer \u20ac", "\x00", f"Bearer {TOKEN},Bearer {TOKEN}"]
)
def test_no_header_is_an_error_of_the_server(authorization: str) -> None:
    """Whatever it holds, and whichever characters a WSGI server lets through, it is refused."""
    assert BearerToken(TOKEN).refusal(PREDICT, authorization) is not None


def test_the_load_tester_sends_the_token(server: LocalServer, artifact: Artifact, tmp_path: Path) -> None:
    """It takes the token of a server that it started from the same setting, and that of an address from a file."""
    assert check_parity(server, artifact, server.server.wires).agrees
    file = tmp_path / "token"
    file.write_text(TOKEN)
    body = str(artifact.folder / "golden" / "request.json")
    arguments = [
        server.url,
        "--body",
        body,
        "--bearer-token-file",
        str(file),
        "--duration",
        "0.2",
        "--warmup",
        "0",
        "--no-pin",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "run", *arguments, "--schedule", "closed", "--json", "-"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    requests = json.loads(done.stdout)["requests"]
    assert requests["ok"] == requests["sent"] > 0
    assert TOKEN not in done.stdout + done.stderr
    assert "BEARER" not in json.dumps(server.describe()), "what a result says of how it was started"


def test_the_description_names_the_token(server: LocalServer) -> None:
    """Every path but /healthz asks for it, and answers 401 without it."""
    described = ask(server, f"Bearer {TOKEN}", "/openapi.json", None)[2]
    assert described["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    for path, methods in described["paths"].items():
        for operation in methods.values():
            asks = path != "/healthz"
            assert ("401" in operation["responses"], "security" in operation) == (asks, asks), path


def test_health_needs_no_token(server: LocalServer) -> None:
    """An orchestrator that asks whether the server is ready knows no secret."""
    assert ask(server, None, "/healthz", None)[0] == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold letters"),
        ("\n", "must hold letters"),
        ("a" * 31, "has 31 characters, fewer than 32"),
        ("two words, which are no token at all", "must hold letters"),
        ("caf\xe9" * 10, "cannot be read (not ASCII)"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_bad_file_is_refused_at_the_start(
    tmp_path: Path, artifact: Artifact, content: str | None, message: str
) -> None:
    """A server that should ask for a token never starts without a good one; the message does not quote it."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BearerTokenError) as refused:
        create_app({"ARTIFACT": artifact.folder, "BEARER_TOKEN_FILE": str(file)})
    assert message in str(refused.value)
    assert str(file) in str(refused.value)
    assert not content or not content.strip() or content not in str(refused.value)


@pytest.mark.parametrize("token", ["", "short", 12345678901234567890123456789012, "x" * 31])
def test_a_bad_token_is_refused_at_the_start(token: object) -> None:
    """As one out of a file is; to Flask digits alone are a number, which is not always written as it was read."""
    with pytest.raises(BearerTokenError, match="BEARER_TOKEN "):
        BearerToken.from_settings({"BEARER_TOKEN": token})


def test_a_token_is_named_once(tmp_path: Path) -> None:
    """Two settings that may contradict each other are refused."""
    with pytest.raises(BearerTokenError, match="not both"):
        BearerToken.from_settings({"BEARER_TOKEN": TOKEN, "BEARER_TOKEN_FILE": str(tmp_path)})
