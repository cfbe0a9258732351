"""Right answers, in every way that HTTP servers give them, over real sockets: all ok, and counted exactly."""

import json
import ssl
from collections import Counter
from typing import Any

import numpy as np
import pytest

from loadtest.load.schedule import Constant
from loadtest.servers.expectation import Exactly, Golden
from tests.wire.http_load import REQUESTS, load
from tests.wire.programmable import CERTIFICATE, Programmable

RIGHT_WAYS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "chunked": {},
    "until_close": {},
    "close_each": {},
    "interim": {},
    "byte_by_byte": {},
    "dated": {},
    "surplus": {},
    "surplus_part": {},
    "surplus_garbage": {},
    "exponential": {"mean_ms": 3.0},
}


@pytest.mark.parametrize(("way", "options"), RIGHT_WAYS.items(), ids=RIGHT_WAYS)
def test_right_answers_are_ok_however_they_come(programmable: Programmable, way: str, options: dict[str, Any]) -> None:
    """Every framing of HTTP/1.1 and 1.0: all ok, and the server saw each request exactly once."""
    port = programmable.listen(way, **options)
    tally = load(port.url)
    assert (tally.ok, tally.mismatched, tally.errors) == (REQUESTS, 0, Counter())
    assert port.counts["requests"] == REQUESTS


@pytest.mark.parametrize(
    ("way", "connections"),
    [("fixed", 4), ("chunked", 4), ("interim", 4), ("byte_by_byte", 4), ("dated", 4)]
    + [(way, REQUESTS) for way in ("until_close", "close_each", "surplus", "surplus_part", "surplus_garbage")],
)
def test_connections_are_kept_where_they_can_be(programmable: Programmable, way: str, connections: int) -> None:
    """Kept alive, four connections serve the run; after a close, or bytes beyond the answer, a new one is opened."""
    port = programmable.listen(way)
    load(port.url)
    assert port.counts["connections"] == connections


def test_half_closed_connection_is_not_used_again(programmable: Programmable) -> None:
    """A server that says after each answer that it will send no more: the next request goes out on a new connection."""
    port = programmable.listen("half_closing")
    tally = load(port.url, Constant(5.0, 1.0), connections=1)
    assert (tally.ok, tally.mismatched, tally.errors) == (5, 0, Counter())
    counts = port.counts
    assert (counts["connections"], counts["requests"], counts["unheard"]) == (5, 5, 0)


def test_answer_that_nobody_asked_for_is_no_answer(programmable: Programmable) -> None:
    """It comes on an idle connection, which is then not used again; the next request is right on a new one."""
    port = programmable.listen("unsolicited", pause_ms=5.0)
    tally = load(port.url, Constant(5.0, 1.0), connections=1)
    assert (tally.ok, tally.mismatched, tally.errors) == (5, 0, Counter())
    assert port.counts["connections"] == port.counts["requests"] == 5


def test_slow_reading_server_gets_the_whole_body(programmable: Programmable) -> None:
    """A body of a megabyte that the server takes in small bites arrives complete."""
    body = b'{"instances": "' + b"x" * 1_000_000 + b'"}'
    port = programmable.listen("echo", manner="slow reading")
    tally = load(port.url, Constant(10.0, 0.3), expectation=Exactly(body), bodies=[body])
    assert tally.ok == tally.scheduled == 3
    assert port.counts["requests"] == 3


def test_requests_take_turns_and_each_answer_is_held_against_its_own(programmable: Programmable) -> None:
    """Three bodies in turn over four connections: an echo is right only for the body that it belongs to."""
    inputs = [np.full((1, 2), float(number)) for number in range(3)]
    bodies = [json.dumps({"predictions": one.tolist()}).encode() for one in inputs]
    port = programmable.listen("echo")
    tally = load(port.url, expectation=Golden({"same": inputs}, 1e-9), bodies=bodies, connections=1)
    assert tally.ok == REQUESTS
    swapped = load(port.url, expectation=Golden({"same": inputs[::-1]}, 1e-9), bodies=bodies, connections=1)
    assert (swapped.ok, swapped.mismatched) == (REQUESTS // 3, REQUESTS - REQUESTS // 3)


def test_https_is_spoken_and_its_certificate_checked(
    programmable: Programmable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate gives right answers, one that nobody vouches for gives errors of its own kind."""
    port = programmable.listen("fixed", tls=True)
    refused = load(port.url, Constant(50.0, 0.2))
    assert refused.errors == Counter(tls_error=10)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert ssl.create_default_context().cert_store_stats()["x509"] >= 1
    assert load(port.url).ok == REQUESTS
    assert port.counts["requests"] == REQUESTS
