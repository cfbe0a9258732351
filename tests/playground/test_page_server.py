"""The playground's small server, asked through real sockets: what it passes on, and what it refuses."""

import contextlib
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.cli import cli
from loadtest.errors import UsageError
from loadtest.playground.known_servers import known_servers
from loadtest.playground.page_files import PAGE, PageFiles
from loadtest.playground.page_models import PageModel
from loadtest.playground.page_server import POLICY, PageServer
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import Answer, request
from tests.playground.stand_in import StandIn, serving, standing_in, sure_of

ROOT = Path(__file__).resolve().parents[2]
BODY = b'{"instances": [[[0.5]]]}'
JSON = {"Content-Type": "application/json"}
TOKEN = "a-token-that-no-page-may-see"
LIMIT = 4096


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """A model server that is sure of a seven."""
    with standing_in(lambda body: (200, sure_of(7))) as one:
        yield one


@pytest.fixture(scope="module")
def server(stand_in: StandIn, servers: Mapping[str, Server]) -> Iterator[PageServer]:
    """The small server, in front of it."""
    known = stand_in.known_as(servers["flask_server"], "Seven", headers={"authorization": f"Bearer {TOKEN}"})
    models = {"digits": PageModel("digits", labels=tuple("0123456789"), max_request_bytes=LIMIT)}
    with serving(known, models=models) as one:
        yield one


def post(server: PageServer, path: str = "/predict/seven/digits", body: bytes = BODY, **headers: str) -> Answer:
    """What a page does."""
    fields = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return request("127.0.0.1", server.server_port, path, body, headers=fields)


def get(server: PageServer, path: str, method: str = "GET", **headers: str) -> Answer:
    """A request without a body."""
    return request("127.0.0.1", server.server_port, path, method=method, headers=headers)


def raw(server: PageServer, text: bytes) -> bytes:
    """All that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_prediction_is_passed_on_as_it_is(server: PageServer, stand_in: StandIn) -> None:
    """The body arrives unchanged at the server's own path, with the token; the answer comes back with its time."""
    answer = post(server, Origin=server.url.rstrip("/"), Cookie="a=b", sec_fetch_site="same-origin")
    assert answer.status == 200
    told = answer.json
    assert told["status"] == 200
    assert told["answer"] == sure_of(7).decode()
    assert told["exchange_ms"] > 0
    arrived = stand_in.arrived[-1]
    assert (arrived.path, arrived.body) == ("/v1/models/digits:predict", BODY)
    assert arrived.headers["authorization"] == f"Bearer {TOKEN}"
    assert not {"cookie", "origin"} & arrived.headers.keys()
    assert TOKEN.encode() not in answer.body


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_it_listens_on_one_address_of_loopback(server: PageServer) -> None:
    """Not even another address of this machine's loopback reaches it."""
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.server_port), timeout=10)


def test_the_page_is_told_of_the_servers_and_of_no_token(server: PageServer) -> None:
    """It learns where a server is, for the command to be copied, and the variable of the token."""
    answer = get(server, "/served.json")
    (told,) = answer.json["servers"]
    assert (told["key"], told["label"], told["token_variable"]) == ("seven", "Seven", "FLASK_SERVER_BEARER_TOKEN")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1/models/digits:predict", told["urls"]["digits"])
    assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        (421, {"Host": "playground.example:80"}),
        (421, {"Host": "127.0.0.1:1"}),
        (403, {"Origin": "http://elsewhere.example"}),
        (403, {"Origin": "null"}),
        (403, {"sec_fetch_site": "cross-site"}),
        (403, {"sec_fetch_site": "same-site"}),
        (415, {"Content_Type": "text/plain"}),
        (404, {"path": "/predict/tf_serving/digits"}),
        (404, {"path": "/predict/seven/imagenet"}),
        (404, {"path": "/predict/seven/digits%2f..%2f"}),
        (405, {"path": "/predict/http://127.0.0.1:8081/models"}),
        (405, {"path": "/predict/seven/digits/more"}),
        (405, {"path": "/"}),
        (413, {"body": b"[" * (LIMIT + 1)}),
        (413, {"body": b"[" * 4_000_000}),
    ],
)
def test_what_no_page_of_its_own_sends_is_refused(
    server: PageServer, stand_in: StandIn, status: int, asked: dict[str, str | bytes]
) -> None:
    """Another name, origin, path or type, and too much: a reason comes back, and nothing is passed on."""
    before = len(stand_in.arrived)
    answer = post(server, **asked)  # type: ignore[arg-type]  # body is the one that is bytes
    assert answer.status == status, answer
    assert answer.json["error"]
    assert len(stand_in.arrived) == before


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (411, b""),
        (411, b"Transfer-Encoding: chunked\r\n"),
        (411, b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"),
        (400, b"Content-Length: -1\r\n"),
        (400, b"Content-Length: 2\r\nContent-Length: 3\r\n"),
        (413, b"Content-Length: 99999999999999999999\r\n"),
        (408, b"Content-Length: 200\r\n"),
        (421, b"Content-Length: 2\r\nHost: elsewhere.example\r\n"),
    ],
)
def test_a_body_without_a_clear_end_is_refused(
    server: PageServer, stand_in: StandIn, status: int, fields: bytes
) -> None:
    """No request can hide in another one's body, and none is passed on in part."""
    before = len(stand_in.arrived)
    head = b"POST /predict/seven/digits HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
    answer = raw(server, head % server.server_port + fields + b"\r\n{}")
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"Connection: close" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert len(stand_in.arrived) == before


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
def test_other_methods_are_refused(server: PageServer, stand_in: StandIn, method: str) -> None:
    """Above all OPTIONS, with which a browser asks whether another origin may."""
    before = len(stand_in.arrived)
    answer = get(server, "/predict/seven/digits", method)
    assert answer.status == 501
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert len(stand_in.arrived) == before


def test_the_page_s_files_have_their_types_and_the_policy(server: PageServer) -> None:
    """Each kind of file comes as what a browser takes it for, under the policy of index.html."""
    types = {
        "/": "text/html; charset=utf-8",
        "/page/main.mjs": "text/javascript; charset=utf-8",
        "/playground.css": "text/css; charset=utf-8",
        "/models/digits/onnx.onnx": "application/octet-stream",
        "/chelsea.png": "image/png",
    }
    for path, media_type in types.items():
        answer = get(server, path)
        assert (answer.status, answer.headers["content-type"]) == (200, media_type)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        head = get(server, path, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(answer.body))
    (in_page,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', (PAGE / "index.html").read_text())
    assert f"{in_page}; frame-ancestors 'none'" == POLICY, "a meta element cannot say that one"


@pytest.mark.parametrize(
    "path",
    [
        "/../README.md",
        "/page/../../../README.md",
        "/%2e%2e/%2e%2e/pyproject.toml",
        "//etc/passwd",
        "/etc/passwd",
        "/page",
        "/README.md",
        "/.gitignore",
        "/node_modules/other/package.json",
        "/models/outside.json",
        "/page/main.mjs%00.html",
    ],
)
def test_no_path_leads_out_of_the_page_s_folder(tmp_path: Path, path: str) -> None:
    """Neither upwards, nor by a link, nor to what is no part of the page."""
    page = tmp_path / "page"
    shutil.copytree(PAGE, page, ignore=shutil.ignore_patterns("vendor"))
    (tmp_path / "README.md").write_text("outside")
    (tmp_path / "secret.json").write_text("{}")
    (page / "models" / "outside.json").symlink_to(tmp_path / "secret.json")
    (page / "node_modules" / "other").mkdir(parents=True)
    (page / "node_modules" / "other" / "package.json").write_text("{}")
    with serving(files=PageFiles(page=page)) as server:
        assert get(server, path).status == 404
        assert get(server, "/models/digits/digits.json").status == 200


def test_a_connection_serves_one_request_after_the_other(server: PageServer) -> None:
    """A browser keeps its connections; a second request on one is answered like the first."""
    one = b"GET /served.json HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % server.server_port
    assert raw(server, one + one).count(b"HTTP/1.1 200 OK") == 2


def test_more_models_are_served_from_another_folder(tmp_path: Path) -> None:
    """Those of --models are listed beside the page's own; a folder without any is refused with what to do."""
    here, there = PAGE / "models" / "digits", tmp_path / "imagenet"
    there.mkdir()
    shutil.copy(here / "onnx.onnx", there / "onnx.onnx")
    shutil.copy(here / "digits.json", there / "imagenet.json")
    with serving(files=PageFiles(tmp_path)) as server:
        assert get(server, "/models/index.json").json == ["digits", "imagenet"]
        assert get(server, "/models/imagenet/onnx.onnx").body == (here / "onnx.onnx").read_bytes()
    (there / "imagenet.json").unlink()
    with pytest.raises(UsageError, match="python -m models devices --exports onnx --keep"):
        PageFiles(tmp_path)


def test_a_server_that_fails_is_told_of(servers: Mapping[str, Server]) -> None:
    """Down, an error, a redirection: each is an answer to the page, and a redirection is not followed."""
    with standing_in(lambda body: (500, b"it broke")) as broken, standing_in(lambda body: (302, b"")) as elsewhere:
        known = [broken.known_as(servers["flask_server"], "Broken"), elsewhere.known_as(servers["torchserve"], "Else")]
        with standing_in(lambda body: (200, b"")) as gone:
            known.append(gone.known_as(servers["tf_serving"], "Gone"))
        with serving(*known) as server:
            told = {name: post(server, f"/predict/{name}/digits").json for name in ("broken", "else", "gone")}
    assert (told["broken"]["status"], told["broken"]["answer"]) == (500, "it broke")
    assert told["else"]["status"] == 302
    assert len(elsewhere.arrived) == 1
    assert told["gone"]["status"] == 0
    assert told["gone"]["fault"].startswith("ConnectionRefusedError")


def test_servers_are_named_with_their_ports(servers: Mapping[str, Server]) -> None:
    """Without a port the default one; every default server without a name; what is none is refused."""
    assert {key: one.port for key, one in known_servers(None, servers).items()} == {
        "flask_server": 8000,
        "tf_serving": 8501,
        "torchserve": 8080,
    }
    assert known_servers("torchserve=99", servers)["torchserve"].port == 99
    for wanted, why in (("nginx", "no server 'nginx'"), ("torchserve=x", "--servers torchserve=x"), ("a=0", "a=0")):
        with pytest.raises(UsageError, match=why):
            known_servers(wanted, servers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_connection_open(number: signal.Signals) -> None:
    """It prints its address, listens on loopback alone, and ends at once although a browser keeps a connection."""
    command = [sys.executable, "-m", "loadtest", "playground", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)  # where an assertion fails before the signal
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert address
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=10)
        stack.callback(connection.close)
        connection.request("GET", "/served.json")
        assert json.loads(connection.getresponse().read())["servers"]
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--servers", "nginx"), "no server 'nginx'"),
        (("--port", "65536"), "--port must be a whole number from 0 to 65,535"),
        (("--models", "docs"), "docs holds no NAME/onnx.onnx with its NAME/NAME.json"),
        (("--models", "nowhere"), "nowhere holds no NAME/onnx.onnx with its NAME/NAME.json"),
    ],
)
def test_bad_arguments_say_what_to_do(arguments: tuple[str, ...], told: str) -> None:
    """Each is an error of one line, before anything listens."""
    error = CliRunner().invoke(cli, ["playground", *arguments]).exception
    assert isinstance(error, UsageError)
    assert told in str(error)
    assert "\n" not in str(error)


def test_a_port_that_is_taken_is_one_line() -> None:
    """It says who has it, and how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} is taken by .*--port"):
            PageServer(port, PageFiles(), {}, {})
