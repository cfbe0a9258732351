"""The service on granian's interface while another request has its turn; the scope and the protocol are made up."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from flask_server.app import create_app
from flask_server.metrics import OVERLOAD
from flask_server.rsgi import Service
from loadtest.servers.artifact import Artifact
from tests.flask_server.test_bearer_token import PREDICT, TOKEN


class Asked:
    """One request, and the answer to it.

    Attributes:
        status: Of the answer.
        headers: Of the answer.
        body: Of the answer.
        read: Whether the body of the request was read.
    """

    def __init__(self, method: str, path: str, body: bytes, **headers: str) -> None:
        self.scope: Any = SimpleNamespace(
            method=method,
            path=path,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            server="here:80",
            client="there:1234",
            scheme="http",
            http_version="1.1",
            query_string="",
        )
        self._sent = body
        self.read = False

    async def __call__(self) -> bytes:
        """As granian's protocol: the body."""
        self.read = True
        return self._sent

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """As granian's protocol: answer."""
        self.status, self.headers, self.body = status, dict(headers), body


@pytest.fixture(scope="module")
def service(artifact: Artifact) -> Service:
    """With a token, and a queue of one."""
    app = create_app({"ARTIFACT": artifact.folder, "BEARER_TOKEN": TOKEN, "QUEUE": 1})
    app.extensions["model"].loaded(60)
    return Service(app)


def asked_while_busy(service: Service, *requests: Asked) -> list[Asked]:
    """The requests that are answered while another one has its turn, in the order of their answers."""
    answered: list[Asked] = []

    async def ask(one: Asked) -> None:
        protocol: Any = one
        await service.__rsgi__(one.scope, protocol)
        answered.append(one)

    async def main() -> list[Asked]:
        async with service.turns:
            asking = [asyncio.create_task(ask(one)) for one in requests]
            for _ in range(10):
                await asyncio.sleep(0)
            meanwhile = list(answered)
        await asyncio.gather(*asking)
        return meanwhile

    return asyncio.run(main())


def post(body: bytes, *, token: str | None = TOKEN) -> Asked:
    """A prediction that is asked for."""
    authorization = {} if token is None else {"authorization": f"Bearer {token}"}
    return Asked("POST", PREDICT, body, content_length=str(len(body)), content_type="application/json", **authorization)


def test_whoever_lacks_the_token_waits_for_no_turn(service: Service, artifact: Artifact) -> None:
    """Small requests without it are refused while others wait, and take no place in the queue."""
    good, without, wrong = (post(artifact.example_body(), token=token) for token in (TOKEN, None, TOKEN[:-1]))
    assert asked_while_busy(service, without, wrong, good) == [without, wrong]
    for one in (without, wrong):
        assert one.status == 401
        assert one.headers["WWW-Authenticate"].startswith('Bearer realm="flask_server"')
    assert (good.status, len(json.loads(good.body)["predictions"])) == (200, 1)


def test_beyond_the_queue_a_small_body_is_not_read(service: Service, artifact: Artifact) -> None:
    """The first of two waits and is answered, the second is refused unread; a larger body is read before."""
    body = artifact.example_body()
    first, second, larger = post(body), post(body), post(body.ljust(10_000))
    assert asked_while_busy(service, first, second, larger) == [second, larger]
    assert [one.status for one in (first, second, larger)] == [200, 503, 503]
    assert [one.read for one in (first, second, larger)] == [True, False, True]
    for one in (second, larger):
        assert (one.headers["Retry-After"], "Connection" in one.headers) == ("1", False)
    assert f'reason="{OVERLOAD}"}} 2' in service.metrics.page()


def test_whoever_looks_after_the_service_is_answered_under_overload(service: Service, artifact: Artifact) -> None:
    """Its health and its metrics need no place in the queue, which is full."""
    health, metrics = (Asked("GET", path, b"", authorization=f"Bearer {TOKEN}") for path in ("/healthz", "/metrics"))
    waits = post(artifact.example_body())
    assert asked_while_busy(service, waits, health, metrics) == [health, metrics]
    assert [one.status for one in (waits, health, metrics)] == [200, 200, 200]
