"""Single requests with a real server, and answers that came by another way."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from loadtest.wire.single_request import Answer, parse_answer, request

HOST = "127.0.0.1"


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def answer(self) -> None:
        """The method, the type of the body and the body."""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        said = f"{self.command} {self.path} {self.headers['Content-Type']} {self.headers['X-Extra']} ".encode() + body
        self.send_response(200)
        self.send_header("X-Answered", "yes")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - http.server names them

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it was asked."""
    with http.server.ThreadingHTTPServer((HOST, 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_the_method_follows_from_the_body(echo: int) -> None:
    """GET without one, POST of JSON with one, unless something else is asked for."""
    assert request(HOST, echo, "/a?b=c").body == b"GET /a?b=c None None "
    assert request(HOST, echo, "/", b"{}").body == b"POST / application/json None {}"
    assert request(HOST, echo, "/", b"", method="PUT").body == b"PUT / application/json None "


def test_given_headers_take_the_place_of_the_default_ones(echo: int) -> None:
    """Also where they are none."""
    assert request(HOST, echo, "/", b"x", headers={"X-Extra": "1"}).body == b"POST / None 1 x"
    assert request(HOST, echo, "/", b"x", headers={}).body == b"POST / None None x"
    assert request(HOST, echo, "/", headers={"X-Extra": "1"}).body == b"GET / None 1 "


def test_header_fields_of_the_answer_are_there_and_make_no_difference(echo: int) -> None:
    """Names are in lower case; answers that differ by the time of day alone are equal."""
    answer = request(HOST, echo, "/")
    assert answer.headers["x-answered"] == "yes"
    assert answer == Answer(200, b"GET / None None ")


def test_an_answer_from_elsewhere_is_read_the_same_way() -> None:
    """With a length, in chunks, or up to its end; what is none is a fault."""
    head = b"HTTP/1.1 404 Not Found\r\nX-One: 1\r\n"
    for raw in (
        head + b"Content-Length: 4\r\n\r\nbodymore",
        head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        head + b"\r\nbody",
    ):
        answer = parse_answer(raw)
        assert answer == Answer(404, b"body")
        assert answer.headers["x-one"] == "1"
    assert parse_answer(b"SSH-2.0\r\n").fault == "BadStatusLine: SSH-2.0\r\n"
    assert parse_answer(b"").status == 0
    assert parse_answer(head + b"Content-Length: 9\r\n\r\nbody").fault.startswith("IncompleteRead")
