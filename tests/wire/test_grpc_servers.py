"""The gRPC transport against a real gRPC server, that of the package grpcio."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvloop

from loadtest.errors import UsageError
from loadtest.load.replay import Replay
from loadtest.load.schedule import Constant, Poisson
from loadtest.load.session import Phase, run_phases
from loadtest.machine.ports import free_ports
from loadtest.servers.expectation import Anything, Exactly
from loadtest.wire.grpc import call_connection, http2
from loadtest.wire.grpc.answer_reader import STATUS_NAMES
from loadtest.wire.grpc.single_call import call_each
from loadtest.wire.grpc.target import GrpcTarget
from tests.wire.grpc_load import put_under_load, some_calls
from tests.wire.grpc_server import CERTIFICATE, RealServer, serving

LOST = {
    "connection_refused",
    "connection_closed",
    "connection_reset",
    "truncated",
    "goaway",
    "goaway_internal_error",  # how this server says that it shuts down
    "grpc_unavailable",
}


@dataclass(frozen=True)
class Same:
    """The answer must be the request."""

    messages: list[bytes]
    name: str = "same"

    def matches(self, payload: int, message: bytes) -> bool:
        """Compare with the request of this payload."""
        return message == self.messages[payload]


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    """A server that all tests of this file use that do not end it."""
    with serving() as running:
        yield running


@pytest.mark.parametrize("schedule", [Poisson(400, 1.0), Constant(400, 1.0), some_calls(400)])
def test_every_call_is_answered(server: RealServer, schedule: Poisson) -> None:
    """All calls of open and closed loops come back right."""
    tally = put_under_load(server.url("Right"), schedule)
    assert tally.ok >= 300
    assert not tally.mismatched
    assert not tally.errors


def test_each_payload_gets_its_own_answer(server: RealServer) -> None:
    """Answers of different sizes, empty ones among them, are each checked against their own request."""
    messages = [b"", b"a", b"bc" * 100, b"", b"d" * 5_000, b"e" * 65_529, b"f" * 65_530, b"g" * 65_531, b"h" * 70_000]
    tally = put_under_load(
        server.url("Echo"), some_calls(500), messages=messages, expectation=Same(messages), connections=3
    )
    assert tally.ok >= 500
    assert not tally.mismatched
    assert not tally.errors


def test_a_swapped_answer_is_a_mismatch(server: RealServer) -> None:
    """An answer that is right for another payload only is not taken, however often it was seen."""
    tally = put_under_load(
        server.url("Echo"), some_calls(200), messages=[b"one", b"two"], expectation=Same([b"one", b"one"])
    )
    assert tally.ok == pytest.approx(100, abs=4)
    assert tally.mismatched == pytest.approx(100, abs=4)


def test_wrong_answers_are_counted() -> None:
    """Each third answer of the server is wrong, and each third is counted as a mismatch."""
    with serving() as own:
        tally = put_under_load(own.url("SometimesWrong"), Constant(300, 1.0))
    assert (tally.ok, tally.mismatched) == (200, 100)


@pytest.mark.parametrize("code", range(1, 17))
def test_error_statuses(server: RealServer, code: int) -> None:
    """Every status is an error kind of its own."""
    tally = put_under_load(server.url("Status"), Constant(100, 0.2), messages=[str(code).encode()])
    assert dict(tally.errors) == {f"grpc_{STATUS_NAMES[code]}": 20}


def test_unknown_method(server: RealServer) -> None:
    """A method that the server does not have is UNIMPLEMENTED."""
    tally = put_under_load(server.url("Missing"), Constant(100, 0.1))
    assert dict(tally.errors) == {"grpc_unimplemented": 10}


def test_statuses_and_answers_mixed(server: RealServer) -> None:
    """A failed call leaves its connection usable for the next one."""
    messages = [b"0", b"5"]  # StatusCode.OK makes grpcio answer UNKNOWN; 5 is NOT_FOUND
    tally = put_under_load(server.url("Status"), Constant(100, 0.4), messages=messages, connections=1)
    assert dict(tally.errors) == {"grpc_unknown": 20, "grpc_not_found": 20}


def test_slow_calls_time_out(server: RealServer) -> None:
    """Calls without an answer end as timeouts, and those that never got a connection as unsent."""
    tally = put_under_load(server.url("Never"), Constant(20, 0.5), connections=2, timeout_s=0.3)
    assert set(tally.errors) <= {"timeout", "unsent"}
    assert tally.errors["timeout"] >= 2
    assert not tally.ok


def test_metadata_arrives_with_every_call(server: RealServer) -> None:
    """Added fields reach the server on the first call of a connection and on all later ones."""
    tally = put_under_load(
        server.url("Token"), some_calls(50), expectation=Exactly(b"secret"), headers={"X-Token": "secret"}
    )
    assert tally.ok >= 50
    assert not tally.mismatched


def test_metadata_beyond_the_header_table(server: RealServer) -> None:
    """Fields too many or too large for a header table arrive as well."""
    large = {f"x-field-{n}": "v" * 50 for n in range(60)} | {"x-token": "t" * 300}
    tally = put_under_load(server.url("Token"), some_calls(20), expectation=Exactly(b"t" * 300), headers=large)
    assert tally.ok >= 20
    assert not tally.mismatched
    assert not tally.errors


def test_large_messages(server: RealServer) -> None:
    """Messages of many frames, larger than the windows at the start, go both ways."""
    messages = [bytes(range(256)) * 12_000, b"small", bytes(range(255)) * 300]
    tally = put_under_load(
        server.url("Echo"), some_calls(30), messages=messages, expectation=Same(messages), connections=2
    )
    assert tally.ok >= 30
    assert not tally.mismatched
    assert not tally.errors


def test_the_receiving_window_is_refilled(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that receives many times the connection's window goes on."""
    greeting = http2.PREFACE + http2.settings_frame({http2.HEADER_TABLE_SIZE: 0, http2.INITIAL_WINDOW_SIZE: 1 << 20})
    monkeypatch.setattr(call_connection, "CLIENT_PREFACE", greeting)
    monkeypatch.setattr(call_connection, "REFILL", 30_000)
    messages = [b"x" * 1_000, b"y" * 25_000, b"z" * 200_000]
    tally = put_under_load(
        server.url("Echo"), some_calls(300), messages=messages, expectation=Same(messages), connections=2, timeout_s=5
    )
    assert tally.ok >= 300
    assert not tally.errors


def test_connections_are_replaced_before_stream_ids_run_out(
    server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the identifiers end, a new connection takes over and no call is lost."""
    opened = 0
    made = call_connection.CallConnection.connection_made

    def count(self: call_connection.CallConnection, transport: asyncio.BaseTransport) -> None:
        nonlocal opened
        opened += 1
        made(self, transport)

    monkeypatch.setattr(call_connection.CallConnection, "connection_made", count)
    monkeypatch.setattr(call_connection, "LAST_STREAM", 19)
    monkeypatch.setattr(call_connection, "REFILL", 10)  # each answer asks for the check
    tally = put_under_load(server.url("Right"), some_calls(100), connections=1)
    assert tally.ok >= 100
    assert not tally.errors
    assert opened == pytest.approx(tally.ok / 11, abs=1)


def test_one_stream_per_connection() -> None:
    """A server that allows a single stream is served as any other.

    grpcio counts a stream until it has cleaned up after it, a moment after the client has the whole answer: held up
    there, it refuses the next call. A closed loop would call again at once, hundreds of times, so this one is paced.
    """
    with serving(arguments={"grpc.max_concurrent_streams": 1}) as own:
        tally = put_under_load(own.url("Right"), Poisson(200, 1.0), connections=8)
    assert tally.ok > tally.scheduled / 2
    assert set(tally.errors) <= {"rst_stream_refused_stream"}


def test_connections_that_are_sent_away() -> None:
    """A server that lets no connection grow old sends GOAWAY again and again; no call ends otherwise."""
    with serving(arguments={"grpc.max_connection_age_ms": 100, "grpc.max_connection_age_grace_ms": 500}) as own:
        tally = put_under_load(own.url("Right"), Poisson(300, 2.0))
    assert set(tally.errors) <= LOST
    assert tally.ok > tally.scheduled / 2
    assert not tally.mismatched


def test_server_that_dies_in_mid_run() -> None:
    """Calls before the death are right, those after it are errors, and none is missing."""
    with serving() as own:
        tally = put_under_load(own.url("Mortal"), Poisson(200, 1.5))
    assert 90 <= tally.ok < 100
    assert tally.errors["connection_refused"] >= tally.scheduled - 110
    assert set(tally.errors) <= LOST
    assert not tally.mismatched


def test_server_that_is_restarted() -> None:
    """After an orderly end and a new start each slot connects anew, at the cost of one call at most."""
    port = free_ports(["grpc"], "127.0.0.1")["grpc"]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving(port=port))

        async def restart() -> int:
            first.end(signal.SIGTERM)
            stack.enter_context(serving(port=port))
            return 0

        target = GrpcTarget.build(first.url("Right"), [b"question"], Exactly(b"the right answer"))
        phases = [Phase(some_calls(50), 1, 10.0), Phase(some_calls(200), 1, 10.0)]
        before, after = uvloop.run(run_phases(target, phases, 4, start_last=restart))
    assert not before.tally.errors
    assert set(after.tally.errors) <= LOST
    assert after.tally.errors.total() <= 4
    assert after.tally.ok >= 190


def test_refused_connection() -> None:
    """Where nobody listens, each call of the schedule is a refused connection."""
    port = free_ports(["grpc"], "127.0.0.1")["grpc"]
    tally = put_under_load(f"grpc://127.0.0.1:{port}/test.Service/Right", Constant(50, 0.4))
    assert dict(tally.errors) == {"connection_refused": 20}


def test_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under TLS, HTTP/2 is negotiated and the certificate is checked."""
    with serving(tls=True) as own:
        distrusted = put_under_load(own.url("Right", "grpcs"), Constant(50, 0.2))
        plain = put_under_load(own.url("Right"), Constant(50, 0.2))
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        trusted = put_under_load(own.url("Right", "grpcs"), some_calls(50))
    assert dict(distrusted.errors) == {"tls_error": 10}
    assert plain.errors.total() == 10
    assert set(plain.errors) <= {"not_http2", "connection_closed", "connection_reset"}
    assert trusted.ok >= 50
    assert not trusted.errors


def test_tls_where_plain_is_spoken(server: RealServer) -> None:
    """A TLS greeting to a plain port is a TLS error or a lost connection, never an answer."""
    tally = put_under_load(server.url("Right", "grpcs"), Constant(50, 0.2))
    assert tally.errors.total() == 10
    assert set(tally.errors) <= {"tls_error", "connection_closed", "connection_reset", "connect_failed"}


def test_limit_holds_for_every_answer(server: RealServer) -> None:
    """What comes after its time is a timeout, right or not, in a run and as a single call."""
    for method in ("Right", "SometimesWrong"):
        tally = put_under_load(server.url(method), Replay((0.0,) * 40), connections=2, timeout_s=1e-9)
        assert (tally.ok, tally.mismatched, dict(tally.errors)) == (0, 0, {"timeout": 40})
    calls = call_each(GrpcTarget.build(server.url("Echo"), [b"3", b"7"], Anything()), timeout_s=1e-9)
    assert [answer.fault for answer in calls] == ["timeout", "timeout"]


def test_credentials_of_the_address_are_metadata(server: RealServer) -> None:
    """As over HTTP/1.1: the server gets them as Basic authentication."""
    url = server.url("Credentials").replace("://", "://user:pw@")
    (answer,) = call_each(GrpcTarget.build(url, [b""], Anything()))
    assert answer.body == b"Basic dXNlcjpwdw=="


def test_single_calls(server: RealServer) -> None:
    """Probes return the message, or the status with the server's own words."""
    good, bad = (
        call_each(GrpcTarget.build(server.url(method), [b"3", b"7"], Anything())) for method in ("Echo", "Status")
    )
    assert [answer.body for answer in good] == [b"3", b"7"]
    assert [answer.fault for answer in bad] == [
        "grpc_invalid_argument: käse: 100%",
        "grpc_permission_denied: käse: 100%",
    ]


def test_single_calls_do_not_wait_again_and_again(server: RealServer) -> None:
    """After one call that hangs, the others count as hanging too."""
    answers = call_each(GrpcTarget.build(server.url("Never"), [b"1"] * 100, Anything()), timeout_s=0.5)
    assert [answer.fault for answer in answers] == ["timeout"] * 100


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("grpc://127.0.0.1:1", {}),
        ("grpc://127.0.0.1:1/Method", {}),
        ("grpc://127.0.0.1:1/a/b/c", {}),
        ("grpc://:1/a.B/C", {}),
        ("grpc://127.0.0.1:99999/a.B/C", {}),
        ("http://127.0.0.1:1/a.B/C", {}),
        ("grpc://127.0.0.1:1/a.B/C", {"two words": "x"}),
        ("grpc://127.0.0.1:1/a.B/C", {"": "x"}),
        ("grpc://127.0.0.1:1/a.B/C", {"name": "line\nbreak"}),
        ("grpc://127.0.0.1:1/a.B/C", {"name": "käse"}),
        ("grpc://127.0.0.1:1/a.B/C", {"name": "x" * 20_000}),
    ],
)
def test_unusable_arguments(url: str, headers: dict[str, str]) -> None:
    """What cannot be sent is refused before a run, in one line."""
    with pytest.raises(UsageError) as error:
        GrpcTarget.build(url, [b""], Anything(), headers=headers)
    assert "\n" not in str(error.value)
