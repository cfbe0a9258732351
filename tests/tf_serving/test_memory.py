"""What large requests may take of the server's memory, and that they leave nothing of it behind."""

import asyncio
import gzip
import json
import resource
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.tf_serving import saved_models
from tests.tf_serving.process import ServerProcess, until
from tf_serving.embedded import http_app
from tf_serving.embedded.errors import ServingError
from tf_serving.embedded.memory import MIB, SMALL, Budget, json_size

LIMIT = 2 * 1024 * MIB  # mem_limit in compose.yaml
PREDICT = "/v1/models/wide:predict"
MAX_INSTANCES = 40_000

# Bodies of 16 MB that are many times as large once they are parsed: see `memory.json_size`.
HOSTILE = {
    "empty lists": b"[],",
    "nested lists": b"[" * 20 + b"]" * 20 + b",",
    "objects": b'{"a":1},',
    "short strings": b'"ab",',
    "numbers": b"1.5,",
}


class Watched:
    """A server and the memory it takes."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._process = psutil.Process(server.process.pid)
        self.idle = self.now()

    def now(self) -> int:
        """Resident bytes at the moment."""
        rss: int = self._process.memory_info().rss
        return rss

    def settled(self) -> int:
        """Resident bytes once they are at most one and a half times those of the idle server, else after a while."""
        deadline = time.monotonic() + 10
        while self.now() > 1.5 * self.idle and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.now()

    def peak_during(self, work: Callable[[], None]) -> int:
        """The largest number of resident bytes while some work is done."""
        done = threading.Event()
        seen = [self.now()]

        def watch() -> None:
            while not done.wait(0.005):
                seen.append(self.now())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            work()
        finally:
            done.set()
            watcher.join()
        return max(seen)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A server of its own, of an artifact whose manifest bounds the instances, that has answered before."""
    folder = tmp_path_factory.mktemp("memory")
    base = folder / "artifact" / "saved_model"
    saved_models.wide(base)
    saved_models.write_manifest(base, 1, max_instances=MAX_INSTANCES)
    server = ServerProcess(folder / "log", "--model_name=wide", f"--model_base_path={base}", "--rest_api_num_threads=8")
    try:
        server.wait("wide")
        # Far more than is needed, and far less than the machine has, should a limit fail.
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (16 * 1024 * MIB, 16 * 1024 * MIB))
        for _ in range(50):
            server.post(PREDICT, {"instances": [[1, 2]]})
            predict(server, np.ones((1, 2), np.float32))
        yield Watched(server)
    finally:
        server.kill()


def predict(server: ServerProcess, x: Any, **options: Any) -> Any:
    """A prediction over gRPC for an array, or a TensorProto."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "wide"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x) if isinstance(x, np.ndarray) else x)
    with grpc.insecure_channel(server.target) as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60, **options)


def refusal(server: ServerProcess, x: Any) -> tuple[grpc.StatusCode, str]:
    """Code and details of a prediction over gRPC that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        predict(server, x)
    return caught.value.code(), caught.value.details()


def instances(unit: bytes, size: int) -> bytes:
    """A predict request of that many bytes, made of one text again and again."""
    return b'{"instances": [' + (unit * (size // len(unit)))[:-1] + b"]}"


def test_memory_is_given_back(watched: Watched) -> None:
    """After the largest request there may be, over REST and over gRPC, the server is as small as it was."""
    answer = watched.server.post(PREDICT, instances(b"[1,2],", 6 * MAX_INSTANCES))
    assert len(answer.json()["predictions"]) == MAX_INSTANCES
    assert watched.settled() < 1.5 * watched.idle
    predict(watched.server, np.ones((MAX_INSTANCES, 2), np.float32))
    assert watched.settled() < 1.5 * watched.idle


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "nested lists"])  # which take long to refuse
def test_several_large_bodies_at_once_fit_into_the_limit(watched: Watched, kind: str) -> None:
    """Six clients send what takes the most memory to read: each is refused, and the limit of the container holds."""
    body = instances(HOSTILE[kind], 16 * MIB)
    packed = gzip.compress(body, 1)
    statuses: list[int] = []

    def send() -> None:
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(watched.server.post, PREDICT, body) for _ in range(3)]
            headers = {"Content-Encoding": "gzip"}
            calls += [pool.submit(watched.server.post, PREDICT, packed, headers=headers) for _ in range(3)]
            statuses.extend(call.result().status_code for call in calls)

    assert watched.peak_during(send) < LIMIT
    assert statuses == [400] * 6
    assert watched.settled() < 1.5 * watched.idle


def test_several_large_messages_at_once_fit_into_the_limit(watched: Watched) -> None:
    """The same over gRPC, where a message may be of strings that the signature does not ask for."""
    strings = tf.make_tensor_proto(np.array([b"ab"] * 3_000_000, dtype=object))
    refused: list[tuple[grpc.StatusCode, str]] = []

    def send() -> None:
        with ThreadPoolExecutor(4) as pool:
            refused.extend(pool.map(lambda _: refusal(watched.server, strings), range(4)))

    assert watched.peak_during(send) < LIMIT
    assert {code for code, _ in refused} == {grpc.StatusCode.INVALID_ARGUMENT}
    assert watched.settled() < 1.5 * watched.idle


def test_more_instances_than_the_manifest_allows_are_refused(watched: Watched) -> None:
    """In the same words over REST, by row and by column, and over gRPC; the message comes before the memory."""
    message = f"{MAX_INSTANCES + 1} instances in one request; the limit is {MAX_INSTANCES}"
    rows = [[1, 2]] * (MAX_INSTANCES + 1)
    for key in ("instances", "inputs"):
        response = watched.server.post(PREDICT, {key: rows})
        assert (response.status_code, response.json()) == (400, {"error": message})
    assert refusal(watched.server, np.array(rows, np.float32)) == (grpc.StatusCode.INVALID_ARGUMENT, message)


def test_a_message_beyond_the_limit_is_refused(watched: Watched) -> None:
    """GRPC takes as much as REST, 128 MiB, and says so."""
    code, details = refusal(watched.server, np.zeros((16 * MIB + 1, 2), np.float32))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(128 * MIB) in details


def test_too_many_bodies_at_a_time_are_503(watched: Watched) -> None:
    """Of nine clients that stall after nearly 31 MiB the ninth is refused; small requests are answered meanwhile."""
    size = 31 * MIB
    request = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    ).encode()
    clients = []
    try:
        for _ in range(9):
            client = socket.create_connection(("127.0.0.1", watched.server.rest_port))
            clients.append(client)
            client.sendall(request + b" " * (size - 1))
            client.settimeout(60)
        clients[-1].sendall(b" ")
        assert clients[-1].recv(4096).startswith(b"HTTP/1.1 503 ")
        small = b'{"instances": [1]}'
        with socket.create_connection(("127.0.0.1", watched.server.rest_port), timeout=60) as client:
            client.sendall(request.replace(b" %d" % size, b" %d" % len(small)) + small)
            assert client.recv(4096).startswith(b"HTTP/1.1 400 ")  # read, and of the wrong shape
        for client in clients[:-1]:
            client.sendall(b" ")
            assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
    finally:
        for client in clients:
            client.close()
    assert watched.settled() < 1.5 * watched.idle


def test_a_body_that_does_not_arrive_is_a_408(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that stalls in the middle of a body is told so when its time is over, and its part is let go."""
    monkeypatch.setattr(http_app, "BODY_SECONDS", 0.05)
    app = http_app.HttpApp(cast("Any", None), 1, Budget())
    parts = iter([{"type": "http.request", "body": b"[1, ", "more_body": True}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(parts, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"headers": [], "method": "POST", "raw_path": PREDICT.encode(), "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408
    assert "did not arrive" in json.loads(sent[1]["body"])["error"]
    assert app._held == 0


def test_the_budget_is_taken_in_turn() -> None:
    """Who does not fit waits, and is not passed by a smaller one that came later; the small ones never wait."""
    budget = Budget(10 * MIB)
    entered: list[str] = []

    def work(name: str, size: int) -> None:
        with budget.hold(size):
            entered.append(name)

    with ThreadPoolExecutor(2) as pool:
        with budget.hold(6 * MIB):
            large = pool.submit(work, "large", 8 * MIB)
            until(lambda: budget._waiting, "the large one waits")
            fits = pool.submit(work, "fits", 2 * MIB)
            until(lambda: len(budget._waiting) == 2, "the other waits behind it")
            work("small", SMALL)
            assert entered == ["small"]
        large.result()
        fits.result()
    assert entered == ["small", "large", "fits"]
    with pytest.raises(ServingError, match="would take 11 MiB of memory, the limit is 10 MiB"):
        budget.hold(11 * MIB)


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_the_size_of_json_is_not_underrated(unit: bytes) -> None:
    """What is foreseen for a text is at least what Python takes for its values."""
    text = b"[" + (unit * (MIB // len(unit)))[:-1] + b"]"
    assert json_size(text) >= _taken(text)


def _taken(text: bytes) -> int:
    tracemalloc.start()
    try:
        document = json.loads(text)
        taken, _ = tracemalloc.get_traced_memory()
        del document
    finally:
        tracemalloc.stop()
    return taken
