"""Addresses and requests that cannot be used are refused before a run, in one line."""

import socket

import pytest
import uvloop

from loadtest.errors import UsageError
from loadtest.experiments.measured_run import resolve
from loadtest.load.session import Phase, run_phases
from loadtest.servers.expectation import Anything, Exactly
from loadtest.wire.address import without_credentials
from loadtest.wire.grpc.target import GrpcTarget
from loadtest.wire.http1 import HttpTarget
from tests.wire.http_load import BODY, PLAN, REQUESTS, target
from tests.wire.programmable import RIGHT, Listening, Programmable


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "http://",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://127.0.0.1/with a blank",
        "http://127.0.0.1/\u2603",
    ],
)
def test_unusable_addresses_are_refused(url: str) -> None:
    """The error names the address or what is wrong with it."""
    with pytest.raises(UsageError):
        HttpTarget.build(url, [BODY], Anything())


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".example"])
def test_unresolvable_host_is_a_usage_error(host: str) -> None:
    """It is found out before the run, and said in one line."""
    with pytest.raises(UsageError, match="cannot resolve the host") as caught:
        target(f"http://{host}/")
    assert "\n" not in str(caught.value)


def test_port_zero_is_not_the_default_port() -> None:
    """Port 0 is taken as written."""
    assert HttpTarget.build("http://127.0.0.1:0/", [BODY], Anything()).port == 0
    assert HttpTarget.build("http://127.0.0.1/", [BODY], Anything()).port == 80
    assert HttpTarget.build("https://127.0.0.1/", [BODY], Anything()).port == 443


def test_name_with_several_addresses_leads_to_one_that_answers(
    programmable: Programmable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of ::1 and 127.0.0.1, where the server listens on the second alone, is reached."""
    port: Listening = programmable.listen("fixed")
    real = socket.getaddrinfo

    def both(host: str, number: int, *args: int, **kwargs: int) -> list[object]:
        if host != "localhost":
            return [*real(host, number, *args, **kwargs)]
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [
            (socket.AF_INET6, *kind, ("::1", number, 0, 0)),
            (socket.AF_INET, *kind, ("127.0.0.1", number)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert resolve(HttpTarget.build(f"http://localhost:{port.port}/", [BODY], Anything())).address == "127.0.0.1"


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET\r\nX: y", {}), ("two words", {}), ("HEAD", {}), ("POST", {"x": "a\r\nb: c"}), ("POST", {"x": "\u2603"})],
)
def test_requests_that_would_break_the_protocol_are_refused(method: str, headers: dict[str, str]) -> None:
    """No line break gets into a head, and no HEAD, whose answers have no body to check."""
    with pytest.raises(UsageError):
        HttpTarget.build("http://127.0.0.1/", [BODY], Anything(), method=method, headers=headers)


@pytest.mark.parametrize(
    ("before_the_host", "headers", "sent"),
    [
        ("", {}, None),
        ("user:pw@", {}, "Basic dXNlcjpwdw=="),
        ("user@", {}, "Basic dXNlcjo="),
        ("us%40er:p%3Aw%20%C3%A4@", {}, "Basic dXNAZXI6cDp3IMOk"),
        ("user:pw@", {"Authorization": "Bearer token"}, "Bearer token"),
    ],
)
def test_credentials_of_the_address_are_sent(
    programmable: Programmable, before_the_host: str, headers: dict[str, str], sent: str | None
) -> None:
    """As Basic authentication, as curl does it; a header that says otherwise comes first."""
    port = programmable.listen("needing", field="authorization", value=sent)
    url = port.url.replace("://", f"://{before_the_host}")
    endpoint = resolve(HttpTarget.build(url, [BODY], Exactly(RIGHT), headers=headers))
    (outcome,) = uvloop.run(run_phases(endpoint, [Phase(PLAN, 1, 5.0)], 2))
    assert (outcome.tally.ok, dict(outcome.tally.errors)) == (REQUESTS, {})


def test_credentials_stay_out_of_messages() -> None:
    """An address that cannot be used is named without its password, whatever stands in that."""
    for password in ("secret", "se/secret", "se#secret", "se?secret", "se[secret", "se\u2100secret", "@secret"):
        for url in (f"ftp://user:{password}@host/", f"http://user:{password}@host:99999/", f"user:{password}@host"):
            with pytest.raises(UsageError, match="host") as refused:
                HttpTarget.build(url, [BODY], Anything())
            assert "se" not in str(refused.value).partition(" is not ")[0]
            assert "secret" not in str(refused.value)
    with pytest.raises(UsageError, match="host") as refused:
        GrpcTarget.build("grpc://user:secret@host/path", [b""], Anything())
    assert "secret" not in str(refused.value)
    assert without_credentials("http://host/a@b?c@d#e@f") == "http://host/a@b?c@d#e@f"
