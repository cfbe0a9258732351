"""The gRPC transport against a scripted HTTP/2 server: all that the protocol allows, and what it does not."""

import contextlib
import itertools
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.load.schedule import Constant
from loadtest.servers.expectation import Anything
from loadtest.wire.grpc import call_connection
from loadtest.wire.grpc.http2 import FieldDecoder, FrameReader, ProtocolError, RequestFields, frame, request_pieces
from loadtest.wire.grpc.single_call import call_each
from loadtest.wire.grpc.target import GrpcTarget
from tests.wire import scripted_http2 as h2
from tests.wire.grpc_load import put_under_load, some_calls
from tests.wire.scripted_http2 import Call, Peer, Script, Way

Serve = Callable[..., Script]
TWENTY = Constant(100, 0.2)
HEADER_TABLE_SIZE, MAX_STREAMS, INITIAL_WINDOW = 1, 3, 4


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts scripted servers, and fails the test where the client broke the protocol."""
    scripts = []
    with contextlib.ExitStack() as stack:

        def start(way: Way, **options: Any) -> Script:
            script = Script(way, **options)
            scripts.append(stack.enter_context(script.serve()))
            return script

        yield start
    assert [violation for script in scripts for violation in script.violations] == []


@pytest.mark.parametrize("way", [h2.right, h2.byte_by_byte, h2.frame_by_frame, h2.decorated, h2.changing_settings])
@pytest.mark.parametrize("connections", [1, 3])
def test_right_answers_in_any_form(serve: Serve, way: Way, connections: int) -> None:
    """However an answer is cut up, padded or accompanied, each call is right and all go over the same connections."""
    script = serve(way)
    tally = put_under_load(script.url, some_calls(40), connections=connections)
    assert tally.ok >= 40
    assert not tally.errors
    assert not tally.mismatched
    assert script.counts["calls"] == tally.ok
    assert script.counts["connections"] == connections
    if way is h2.decorated:
        # The last one of each connection may still be on its way.
        assert tally.ok - connections <= script.counts["pongs"] <= tally.ok


@pytest.mark.parametrize(
    ("way", "kind", "kept"),
    [
        (h2.refused, "rst_stream_refused_stream", True),
        (h2.failed, "grpc_resource_exhausted", True),
        (h2.unknown_status, "grpc_unknown", True),
        (h2.without_status, "no_grpc_status", True),
        (h2.http_error, "http_503", True),
        (h2.not_grpc, "not_grpc", True),
        (h2.compressed, "malformed_response", True),
        (h2.short_message, "malformed_response", True),
        (h2.empty, "malformed_response", True),
        (h2.table_reference, "malformed_response", False),
        (h2.overpadded, "malformed_response", False),
        (h2.garbage, "malformed_response", False),
        (h2.pushed, "malformed_response", False),
        (h2.other_stream, "malformed_response", False),
        (h2.head_twice, "malformed_response", False),
        (h2.endless_fields, "malformed_response", False),
        (h2.truncated, "truncated", False),
        (h2.closed, "connection_closed", False),
        (h2.reset, "connection_reset", False),
        (h2.goaway_unread, "goaway", False),
        (h2.goaway_calm, "goaway_enhance_your_calm", False),
        (h2.goaway_then_closed, "goaway", False),
    ],
)
def test_error_kinds(serve: Serve, way: Way, kind: str, kept: bool) -> None:
    """Every way to fail has its kind; the connection is kept where the failure was the call's alone."""
    script = serve(way)
    tally = put_under_load(script.url, TWENTY, connections=1)
    assert dict(tally.errors) == {kind: 20}
    assert script.counts["connections"] == (1 if kept else 20)


def test_wrong_answers(serve: Serve) -> None:
    """An answer with status OK and other bytes is a mismatch."""
    tally = put_under_load(serve(h2.wrong).url, TWENTY)
    assert (tally.ok, tally.mismatched, tally.errors.total()) == (0, 20, 0)


def test_goaway_lets_the_call_end(serve: Serve) -> None:
    """A call that the server took before its GOAWAY is right, and the next one goes over a new connection."""
    script = serve(h2.goaway_then_right)
    tally = put_under_load(script.url, TWENTY, connections=1)
    assert (tally.ok, tally.errors.total()) == (20, 0)
    assert script.counts["connections"] == 20
    assert script.counts["pongs"] >= 19  # the last one may still be on its way


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", "not_http2"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "not_http2"),  # a TLS alert, too short for a frame
        (h2.frame(h2.PING, 0, 0, bytes(8)), "not_http2"),
        (h2.frame(h2.SETTINGS, 0, 0, b"odd"), "not_http2"),
        (b"", "connection_closed"),
    ],
)
def test_what_is_no_http2(serve: Serve, greeting: bytes, kind: str) -> None:
    """A server that does not begin with SETTINGS is told apart from one that fails."""
    tally = put_under_load(serve(h2.right, greeting=greeting).url, TWENTY)
    assert dict(tally.errors) == {kind: 20}


def test_silent_server(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and says nothing is a connection that could not be made in time."""
    monkeypatch.setattr(call_connection, "HANDSHAKE_S", 0.05)

    async def silent(peer: Peer) -> None:
        await peer.reader.read()

    monkeypatch.setattr(Peer, "serve", silent)
    tally = put_under_load(serve(h2.right).url, Constant(50, 0.2), connections=2)
    assert dict(tally.errors) == {"connect_timeout": 10}


@pytest.mark.parametrize("window", [1, 10, 1_000, 65_535, 100_000])
@pytest.mark.parametrize("size", [5, 3_000])
def test_flow_control_is_kept(serve: Serve, window: int, size: int) -> None:
    """With any window the message arrives whole, and never faster than the server grants."""
    seen = Counter[int]()

    async def count(peer: Peer, call: Call) -> None:
        seen[len(call.message)] += 1
        await h2.right(peer, call)

    script = serve(count, settings={INITIAL_WINDOW: window})
    tally = put_under_load(script.url, some_calls(5), messages=[b"x" * size])
    assert not tally.errors
    assert set(seen) == {size + 5}


def test_flow_control_of_the_connection(serve: Serve) -> None:
    """Messages that are together larger than the connection's window wait for it to be widened."""
    script = serve(h2.right, settings={INITIAL_WINDOW: 1 << 20})
    messages = [b"x" * size for size in (60_000, 10_000, 200_000, 1)]
    tally = put_under_load(script.url, some_calls(40), messages=messages, connections=1)
    assert tally.ok >= 40
    assert not tally.errors


def test_window_that_answers_widen(serve: Serve) -> None:
    """Leave to send on that comes with the answers counts, also where the answers are known already."""
    script = serve(h2.granting, grants=False)
    tally = put_under_load(script.url, some_calls(300), messages=[b"x" * 1_000], connections=1, timeout_s=2)
    assert tally.ok >= 300
    assert not tally.errors


def test_answer_that_comes_twice(serve: Serve) -> None:
    """An answer that nobody waits for any more is not counted, even if its bytes are known."""
    script = serve(h2.twice)
    tally = put_under_load(script.url, TWENTY, connections=1)
    # On a busy machine the second one may come while the next call is under way, which is that call's error.
    assert set(tally.errors) <= {"malformed_response"}
    assert tally.ok >= 1
    assert script.counts["connections"] > 1


@pytest.mark.parametrize(
    ("window", "size", "let_through"),
    [
        (65_535, 70_000, 0),  # the connection's window and the stream's shut together
        (1 << 20, 70_000, 0),  # the connection's alone
        (10, 3_000, 0),  # the stream's alone
        (65_535, 1_000, 65),  # the connection's, after so many calls
    ],
)
def test_window_that_stays_shut(serve: Serve, window: int, size: int, let_through: int) -> None:
    """A call that flow control never lets out is a timeout, not a breach, and the next one gets a new connection."""
    script = serve(h2.right, grants=False, settings={INITIAL_WINDOW: window})
    calls = Constant(1_000, 0.1)
    tally = put_under_load(script.url, calls, messages=[b"x" * size], connections=1, timeout_s=0.2)
    assert set(tally.errors) <= {"timeout", "unsent"}
    assert tally.errors["timeout"] >= 1
    assert tally.ok >= let_through if let_through else tally.ok == 0
    assert script.counts["connections"] >= tally.errors["timeout"]


def test_early_error_ends_a_large_message(serve: Serve) -> None:
    """An error that comes before the message is through cancels the rest of it and leaves the connection usable."""
    script = serve(h2.never, grants=False, early=h2.failed)
    tally = put_under_load(script.url, Constant(100, 0.05), messages=[b"x" * 70_000], connections=1)
    assert dict(tally.errors) == {"grpc_resource_exhausted": 5}
    assert script.counts["connections"] == 1
    assert script.resets in ([8] * 4, [8] * 5)  # CANCEL; the last one may still be on its way


def test_window_that_settings_widen(serve: Serve) -> None:
    """A larger initial window holds for the call that is under way as well."""

    async def widen(peer: Peer, call: Call) -> None:
        peer.stream_window += 100_000 - peer.initial
        await peer.announce({INITIAL_WINDOW: 100_000})

    script = serve(h2.right, grants=False, early=widen, settings={INITIAL_WINDOW: 10})
    tally = put_under_load(script.url, some_calls(10), messages=[b"x" * 2_000], connections=1, timeout_s=2)
    assert tally.ok >= 10
    assert not tally.errors


def test_streams_not_allowed_at_first(serve: Serve) -> None:
    """A limit of zero streams is waited out."""
    tally = put_under_load(serve(h2.right, settings={MAX_STREAMS: 0}).url, TWENTY)
    assert (tally.ok, tally.errors.total()) == (20, 0)


@pytest.mark.parametrize("table", [0, 100, 4_096, 65_536])
def test_header_tables_of_any_size(serve: Serve, table: int) -> None:
    """The fields arrive in every call, whatever table the server keeps for them."""
    script = serve(h2.right, settings={HEADER_TABLE_SIZE: table})
    tally = put_under_load(script.url, some_calls(20), headers={"authorization": "Bearer " + "t" * 200}, connections=2)
    assert tally.ok >= 20
    assert script.fields[0][":path"] == "/test.Service/Method"
    assert script.fields[0]["te"] == "trailers"
    assert script.fields[0]["authorization"] == "Bearer " + "t" * 200
    assert all(fields == script.fields[0] for fields in script.fields)


def test_what_was_received_is_granted_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window given back is what came in as DATA, padding included: never more, and less only by the last part."""
    monkeypatch.setattr(call_connection, "REFILL", 100)
    script = serve(h2.right)
    put_under_load(script.url, some_calls(100), connections=2)
    for granted, sent in zip(script.granted, script.sent, strict=True):
        refilled = granted - (2**31 - 1 - 65_535)
        assert sent - 121 <= refilled <= sent


def test_answers_that_change(serve: Serve) -> None:
    """The fast path takes known bytes only: among many equal answers each deviating one is judged by itself."""

    async def changing(peer: Peer, call: Call) -> None:
        ways: dict[int, Way] = {
            10: h2.wrong,
            20: h2.failed,
            30: h2.frame_by_frame,
            31: h2.tail_only,
            40: h2.refused,
            45: h2.head_twice,
        }
        await ways.get(peer.script.counts["calls"] % 50, h2.right)(peer, call)

    tally = put_under_load(serve(changing).url, Constant(500, 0.2), connections=1)
    assert (tally.ok, tally.mismatched) == (90, 2)
    errors = {"grpc_resource_exhausted": 2, "rst_stream_refused_stream": 2, "malformed_response": 4}
    assert dict(tally.errors) == errors


WAYS: dict[Way, str] = {
    h2.right: "ok",
    h2.frame_by_frame: "ok",
    h2.decorated: "ok",
    h2.wrong: "mismatched",
    h2.failed: "grpc_resource_exhausted",
    h2.refused: "rst_stream_refused_stream",
    h2.truncated: "truncated",
    h2.closed: "connection_closed",
    h2.garbage: "malformed_response",
    h2.goaway_unread: "goaway",
    h2.goaway_then_right: "ok",
}


@settings(max_examples=25, deadline=None)
@given(ways=st.lists(st.sampled_from(list(WAYS)), min_size=1, max_size=30), connections=st.integers(1, 3))
def test_any_sequence_of_answers_is_counted_exactly(ways: list[Way], connections: int) -> None:
    """Every call ends as what the server made of it, in whatever order good and bad answers come."""
    left = list(ways)

    async def next_way(peer: Peer, call: Call) -> None:
        await left.pop()(peer, call)

    script = Script(next_way)
    with script.serve():
        tally = put_under_load(script.url, Constant(1_000, len(ways) / 1_000), connections=connections)
    assert script.violations == []
    outcomes = Counter({"ok": tally.ok, "mismatched": tally.mismatched}) + tally.errors
    assert outcomes == Counter(WAYS[way] for way in ways)


@settings(max_examples=20, deadline=None)
@given(noise=st.binary(min_size=1, max_size=200))
def test_noise_never_breaks_a_run(noise: bytes) -> None:
    """Whatever bytes come in place of an answer, the call ends with an error kind and the next one is made."""

    async def noisy(peer: Peer, call: Call) -> None:
        await peer.send(noise)
        peer.writer.close()

    script = Script(noisy)
    with script.serve():
        tally = put_under_load(script.url, Constant(1_000, 0.003), connections=1)
    assert (tally.ok, tally.mismatched, tally.errors.total()) == (0, 0, 3)


def test_single_call_tells_what_the_server_said(serve: Serve) -> None:
    """A probe's fault holds the decoded words of the server."""
    (answer,) = call_each(GrpcTarget.build(serve(h2.failed).url, [b""], Anything()))
    assert answer.fault == "grpc_resource_exhausted: too über 100%"


# -- frames and header blocks by themselves


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary())), st.data())
def test_frames_survive_any_cut(frames: list[tuple[int, int, int, bytes]], data: st.DataObject) -> None:
    """Frames are the same however the stream of bytes is cut into reads."""
    stream = b"".join(frame(*one) for one in frames)
    assert stream == b"".join(h2.frame(*one) for one in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    reader = FrameReader()
    reads = [stream[start:end] for start, end in itertools.pairwise([0, *cuts, len(stream)])]
    read = [one for part in reads for one in reader.feed(part)]
    assert [(one.kind, one.flags, one.stream, one.payload) for one in read] == frames
    assert b"".join(one.raw for one in read) == stream


def test_frame_too_long() -> None:
    """A frame longer than the limit is refused at its head."""
    with pytest.raises(ProtocolError):
        FrameReader().feed(struct.pack(">I", 16_385)[1:] + bytes(6))


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=50_000), st.integers(0, 2**31 - 1))
def test_request_pieces(block: bytes, body: bytes, stream: int) -> None:
    """The pieces around a stream identifier are the frames of that stream."""
    parts = [body[i : i + 16_384] for i in range(0, len(body), 16_384)]
    expected = h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block) + b"".join(
        h2.frame(h2.DATA, index == len(parts) - 1, stream, part) for index, part in enumerate(parts)
    )
    assert struct.pack(">I", stream).join(request_pieces(block, body)) == expected


names = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=200)


@settings(deadline=None)
@given(st.lists(st.tuples(names.map(str.encode), names.map(str.encode)), max_size=80))
def test_request_fields_decode_to_what_was_encoded(fields: list[tuple[bytes, bytes]]) -> None:
    """First, further and literal blocks all mean the same to a decoder that keeps a table."""
    blocks = RequestFields.encode(b"\x83\x86", fields)
    decoder = hpack.Decoder()
    expected = [(b":method", b"POST"), (b":scheme", b"http"), *fields]
    for block in (blocks.first, blocks.again, blocks.again, blocks.literal, blocks.literal):
        assert [tuple(one) for one in decoder.decode(block, raw=True)] == expected


def test_fields_of_a_peer_with_a_table_are_refused() -> None:
    """A decoder that promised to keep no table takes no reference to one, and no enlargement."""
    decoder = FieldDecoder()
    assert decoder.decode(b"\x20\x88\x40\x01a\x01b") == {b":status": b"200", b"a": b"b"}
    for block in (b"\xbe", b"\x3f\xe1\x1f", b"\x40\x05a"):
        with pytest.raises(ProtocolError):
            decoder.decode(block)


def test_decoded_fields_are_not_kept_for_ever() -> None:
    """Ever new blocks, such as those with the time of day, do not fill the memory."""
    decoder = FieldDecoder()
    for number in range(5_000):
        text = b"%05d" % number
        assert decoder.decode(b"\x00\x01t\x05" + text) == {b"t": text}
    assert len(decoder._seen) <= FieldDecoder.MEMORY
