"""TorchServe with its tokens on, and what of it listens where, when predictions are asked for at another address."""

import json
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from loadtest.launch.local import LocalServer
from loadtest.machine.placement import UNPINNED
from loadtest.machine.ports import free_ports
from loadtest.machine.process_tree import kill_processes, process_tree
from loadtest.servers.artifact import Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import Answer, request
from tests.torchserve.test_torchserve import PREDICT, grpc_message, with_options

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address of this machine on Linux only")

HOST = "127.0.0.2"
"""Where predictions are asked for. All of 127.0.0.0/8 is this machine, and what listens on 127.0.0.1 is not there."""

LOOPBACK = "127.0.0.1"
LIFETIME_S = 2
PATIENCE_S = 120


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run, which everybody on the machine may look into, with the tokens of an earlier run in it."""
    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o755)
    (folder / "key_file.json").write_text("{}")
    (folder / "key_file.json").chmod(0o644)
    return folder


@pytest.fixture(scope="module")
def server(artifact: Artifact, servers: Mapping[str, Server], run_dir: Path) -> Iterator[LocalServer]:
    """TorchServe with tokens that live for seconds; it is never ready for a client that has none."""
    short = run_dir / "short.properties"
    short.write_text(f"token_expiration_min={LIFETIME_S / 60}\n")
    options = ["--token-auth", "--run-dir", str(run_dir), "--host", HOST, "--settings", str(short)]
    asking = with_options(servers["torchserve"], *options)
    running = LocalServer(asking, artifact, free_ports(asking.ports, LOOPBACK), UNPINNED)
    try:
        eventually(running, lambda: ask(running, "management", "/models", "").status != 0)
        yield running
    finally:
        kill_processes(process_tree(running.pid), timeout_s=10)  # it has nothing to end in order
        running.stop()


def eventually(server: LocalServer, is_so: Callable[[], bool]) -> None:
    """Poll until something is so; the patience is for slow machines."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        server.raise_if_ended()
        assert time.monotonic() < deadline, server.log_tail()
        time.sleep(0.1)


def keys(run_dir: Path) -> dict[str, Any]:
    """What stands in the key file."""
    found: dict[str, Any] = json.loads((run_dir / "key_file.json").read_text())
    return found


def ask(server: LocalServer, role: str, path: str, token: str, body: bytes | None = None) -> Answer:
    """A request with a token, or with none where it is empty."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    host = HOST if role == "rest" else LOOPBACK
    return request(host, server.ports[role], path, body, headers=headers, timeout_s=30)


def renewed(server: LocalServer, run_dir: Path, kind: str) -> str:
    """A new token of a kind: with the key called API, which does not expire, the management API makes one."""
    assert ask(server, "management", f"/token?type={kind}", keys(run_dir)["API"]["key"]).status == 200
    return str(keys(run_dir)[kind]["key"])


def predicts(server: LocalServer, run_dir: Path, artifact: Artifact) -> bool:
    """Whether a prediction with a new token is the golden one."""
    answer = ask(server, "rest", PREDICT, renewed(server, run_dir, "inference"), artifact.example_body())
    return answer.status == 200 and artifact.expectation().matches(0, answer.body)


def test_predictions_need_the_token_of_predictions(server: LocalServer, run_dir: Path, artifact: Artifact) -> None:
    """With it comes the golden answer; without one, with a wrong one and with that of the management API a refusal."""
    eventually(server, lambda: predicts(server, run_dir, artifact))
    for token in ("", "wrong", renewed(server, run_dir, "management"), keys(run_dir)["API"]["key"]):
        for path in (PREDICT, "/v1/models/digits:predict"):
            assert_refused(ask(server, "rest", path, token, artifact.example_body()))
    assert_refused(ask(server, "rest", "/ping", ""))


def assert_refused(answer: Answer) -> None:
    """TorchServe says 400 where RFC 6750 has 401."""
    assert answer.status == 400
    assert answer.json["type"] == "InvalidKeyException"


def test_the_management_api_needs_its_own(server: LocalServer, run_dir: Path) -> None:
    """That of predictions is not enough."""
    eventually(
        server, lambda: ask(server, "management", "/models", renewed(server, run_dir, "management")).status == 200
    )
    for token in ("", "wrong", renewed(server, run_dir, "inference")):
        assert_refused(ask(server, "management", "/models", token))
        assert ask(server, "management", "/token?type=management", token).status == 400


def test_a_token_expires(server: LocalServer, run_dir: Path, artifact: Artifact) -> None:
    """What was answered is refused after its time, and a new one is taken."""
    tokens: list[str] = []

    def answered() -> bool:
        tokens.append(renewed(server, run_dir, "inference"))
        return still_answered()

    def still_answered() -> bool:
        return ask(server, "rest", PREDICT, tokens[-1], artifact.example_body()).status == 200

    eventually(server, answered)
    eventually(server, lambda: not still_answered())
    eventually(server, lambda: predicts(server, run_dir, artifact))


def test_grpc_needs_the_token_too(server: LocalServer, run_dir: Path, artifact: Artifact) -> None:
    """It is the metadata `authorization`; without it the call is refused."""
    with grpc.insecure_channel(f"{HOST}:{server.ports['grpc']}") as channel:
        call = channel.unary_unary(server.server.wires["grpc"].path)

        def outcome(token: str) -> str:
            metadata = [("authorization", f"Bearer {token}")]
            try:
                return str(call(grpc_message(artifact.example_body()), timeout=30, metadata=metadata))
            except grpc.RpcError as error:
                return str(error.code().name)

        assert outcome("wrong") == "PERMISSION_DENIED"
        eventually(server, lambda: "predictions" in outcome(renewed(server, run_dir, "inference")))


def test_the_keys_are_for_this_user_alone(server: LocalServer, run_dir: Path) -> None:
    """Also where a file of an earlier run was there, and after the keys were renewed; none of them is logged."""
    renewed(server, run_dir, "inference")
    assert stat.S_IMODE((run_dir / "key_file.json").stat().st_mode) == 0o600
    log = server.log_tail(1_000_000) + "".join(path.read_text() for path in (run_dir / "logs").glob("*.log"))
    assert keys(run_dir)["API"]["key"] not in log


@pytest.mark.parametrize("role", ["management", "metrics", "grpc_management"])
def test_management_is_on_loopback_wherever_predictions_are(server: LocalServer, role: str) -> None:
    """--host moves the two inference APIs alone."""
    assert listens(LOOPBACK, server.ports[role])
    assert not listens(HOST, server.ports[role])
    eventually(server, lambda: listens(HOST, server.ports["rest"]) and listens(HOST, server.ports["grpc"]))


def listens(host: str, port: int) -> bool:
    """Whether somebody takes a connection there."""
    with socket.socket() as connection:
        connection.settimeout(5)
        return connection.connect_ex((host, port)) == 0
