import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from flask_server.app import create_app
from loadtest.launch.local import LocalServer, start_local
from loadtest.machine.placement import UNPINNED
from loadtest.servers.artifact import ROOT, Artifact
from loadtest.servers.server_folder import Server
from loadtest.wire.single_request import Answer, request
from tests.flask_server.bodies import framed, npy, npz, octets
from tests.flask_server.picture_files import gigantic_png, with_chunk, zeros

PREDICT = "/v1/models/digits:predict"
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


@pytest.fixture(scope="module", params=["flask_server", "flask_server:tensorflow", "flask_server:gunicorn"])
def server(request: pytest.FixtureRequest, artifact: Artifact, servers: Mapping[str, Server]) -> Iterator[LocalServer]:
    """The running server, started as its server.toml says, in each of its variants."""
    running = start_local(servers[request.param], artifact, UNPINNED, any_port=True)
    yield running
    running.stop()


def ask(server: LocalServer, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[Any, bytes]:
    """One request with any method and headers: the response, which holds status and headers, and its body."""
    connection = http.client.HTTPConnection(server.host, server.ports["rest"], timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def assert_error(response: Any, body: bytes, status: int, message: str) -> None:
    """Every refusal is JSON of the same form."""
    assert response.status == status, body
    assert response.headers["Content-Type"] == "application/json"
    assert list(json.loads(body)) == ["error"]
    assert message in json.loads(body)["error"]


def test_golden_answers_under_concurrency(server: LocalServer, artifact: Artifact) -> None:
    """Every golden input, sent by many clients at once and in bodies of several instances, gets its own answer."""
    bodies = {batch: artifact.bodies(batch) for batch in (1, 3, 64)}
    jobs = [(batch, index) for batch, own in bodies.items() for index in range(len(own))] * 3
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda job: server.predict(bodies[job[0]][job[1]]), jobs))
    for (batch, index), answer in zip(jobs, answers, strict=True):
        assert answer.status == 200, answer
        expected = artifact.golden.outputs["probabilities"][index * batch : (index + 1) * batch]
        np.testing.assert_allclose(answer.json["predictions"], expected, rtol=0, atol=artifact.tolerance)


def test_bad_bodies(server: LocalServer, artifact: Artifact) -> None:
    """A bad body is answered with a 400 that names the fault, and the server goes on."""
    for body, message in BAD_BODIES:
        assert_error(*ask(server, "POST", PREDICT, body, **{"Content-Type": "application/json"}), 400, message)
    assert server.predict(artifact.bodies()[0]).status == 200


def test_binary_forms(server: LocalServer, artifact: Artifact) -> None:
    """An .npy, an .npz and raw octets get the answer of JSON, in their own form."""
    images = artifact.golden.inputs["image"][:3]
    expected = artifact.golden.outputs["probabilities"][:3]
    for content_type, body in (("application/x-npy", npy(images)), ("application/x-npz", npz({"image": images}))):
        response, answer = ask(server, "POST", PREDICT, body, **{"Content-Type": content_type})
        assert (response.status, response.headers["Content-Type"]) == (200, "application/x-npy"), answer
        np.testing.assert_allclose(np.load(io.BytesIO(answer)), expected, rtol=0, atol=artifact.tolerance)
    body, length = octets({"image": images})
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": length}
    response, answer = ask(server, "POST", PREDICT, body, **headers)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/octet-stream"), answer
    json_length = int(response.headers["Inference-Header-Content-Length"])
    size = {"binary_data_size": expected.size * 4}
    described = {"name": "probabilities", "shape": list(expected.shape), "datatype": "FP32", "parameters": size}
    assert json.loads(answer[:json_length]) == {"outputs": [described]}
    numbers = np.frombuffer(answer[json_length:], "<f4").reshape(expected.shape)
    np.testing.assert_allclose(numbers, expected, rtol=0, atol=artifact.tolerance)


def test_pictures(server: LocalServer, artifact: Artifact) -> None:
    """Golden pictures get their own answers in JSON, and what is no picture of the model's a 400."""
    for form in ("png", "jpeg"):
        golden = artifact.carried_as(form).golden
        for row in (0, 1):
            file = bytes(golden.inputs["image"][row])
            response, answer = ask(server, "POST", PREDICT, file, **{"Content-Type": f"image/{form}"})
            assert (response.status, response.headers["Content-Type"]) == (200, "application/json"), answer
            found = json.loads(answer)["predictions"]
            right = golden.outputs["probabilities"][row : row + 1]
            np.testing.assert_allclose(found, right, rtol=0, atol=artifact.tolerance)
        assert_error(*ask(server, "POST", PREDICT, file[:-9], **{"Content-Type": f"image/{form}"}), 400, "file")


def test_a_bomb_costs_no_memory(server: LocalServer, artifact: Artifact) -> None:
    """A picture of 900 million pixels in less than a megabyte, and one with 500 MB of text beside its pixels."""
    good = bytes(artifact.carried_as("png").golden.inputs["image"][0])
    text = with_chunk(good, b"zTXt", b"k\0\0" + zeros(500))
    process = psutil.Process(server.pid)
    for _ in range(2):
        before = memory_of(process)
        response = ask(server, "POST", PREDICT, gigantic_png(), **{"Content-Type": "image/png"})
        assert_error(
            *response, 400, "the picture has 30000 x 30000 pixels, 8-bit greyscale; the model takes 8 x 8 pixels"
        )
        assert ask(server, "POST", PREDICT, text, **{"Content-Type": "image/png"})[0].status == 200
    assert memory_of(process) - before < 32 * 2**20


def memory_of(process: psutil.Process) -> int:
    """Bytes that a process and its children hold."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def test_bad_binary_bodies(server: LocalServer, artifact: Artifact) -> None:
    """A bad body in a binary form gets a 400 in JSON that names the fault, as a bad body of JSON does."""
    images = artifact.golden.inputs["image"][:1]
    unscaled = np.full_like(images, 3e38)
    for content_type, body, message in (
        ("application/x-npy", b"", "not an .npy"),
        ("application/x-npy", npy(images)[:-4], "the body holds 252 bytes, float32 of shape [1, 8, 8] takes 256"),
        ("application/x-npy", npy(images.astype(">f4")), "convert it with .astype('<f4')"),
        ("application/x-npy", npy(images * np.nan), "NaN, Infinity"),
        ("application/x-npy", npy(unscaled), "no finite answer"),
        ("application/x-npz", npz({"picture": images}), 'lacks "image.npy"'),
        ("application/octet-stream", images.tobytes(), "send the header Inference-Header-Content-Length"),
    ):
        assert_error(*ask(server, "POST", PREDICT, body, **{"Content-Type": content_type}), 400, message)
    body, length = framed({"inputs": []}, images.tobytes())
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": length}
    assert_error(*ask(server, "POST", PREDICT, body, **headers), 400, 'lacks "image"')
    assert server.predict(artifact.bodies()[0]).status == 200


def test_wrong_requests(server: LocalServer) -> None:
    """A wrong path, method or content type is refused with JSON and the status that HTTP has for it."""
    assert_error(*ask(server, "GET", "/"), 404, "not found")
    assert_error(*ask(server, "GET", "/v1/models/nope"), 404, "no model 'nope' here, only 'digits'")
    assert_error(*ask(server, "POST", "/v1/models/nope:predict", b"{}"), 404, "no model 'nope'")
    assert_error(*ask(server, "POST", PREDICT, b"{}", **{"Content-Type": "text/plain"}), 415, "application/json, ")
    response, body = ask(server, "GET", PREDICT)
    assert_error(response, body, 405, "not allowed")
    assert "POST" in response.headers["Allow"]
    assert_error(*ask(server, "DELETE", "/healthz"), 405, "not allowed")


def test_body_of_50_mb(server: LocalServer, artifact: Artifact) -> None:
    """A body far over the limit is answered with 413, with and without a declared length, and the server goes on."""
    big = b"1" * 50_000_000
    json_type = {"Content-Type": "application/json"}
    assert_error(*ask(server, "POST", PREDICT, big, **json_type), 413, "")
    connection = http.client.HTTPConnection(server.host, server.ports["rest"], timeout=60)
    connection.request("POST", PREDICT, iter([big[:1_000_000]] * 50), json_type)  # an iterator is sent in chunks
    assert_error(response := connection.getresponse(), response.read(), 413, "")
    connection.close()
    assert server.predict(artifact.bodies()[0]).status == 200


def test_connection_is_kept_alive(server: LocalServer, artifact: Artifact) -> None:
    """One connection carries many requests, a refused one among them."""
    connection = http.client.HTTPConnection(server.host, server.ports["rest"], timeout=10)
    connection.connect()
    sock = connection.sock
    for body in [artifact.bodies()[0], b"{", artifact.bodies()[1]]:
        connection.request("POST", PREDICT, body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        assert connection.sock is sock
    connection.close()


def test_status_reports_what_is_in_effect(server: LocalServer) -> None:
    """The status names the runtime that answers, the WSGI server and the threads, as they are and not as asked."""
    status = server.effective()["model"]
    assert (status["name"], status["version"]) == ("digits", 1)
    assert status["runtime"]["name"] == server.server.runtime
    assert status["runtime"]["threads"] == 1
    assert status["wsgi"]["server"].split()[0] in server.server.label
    workers = psutil.Process(server.pid).children()
    assert status["wsgi"]["workers"] == len([worker for worker in workers if worker.memory_info().rss > 100e6])


def test_curl_of_the_readme(server: LocalServer) -> None:
    """The curl of the README, sent to this server's port, says that the image shows a zero."""
    readme = (ROOT / "flask_server" / "README.md").read_text()
    command = readme[readme.index("curl ") : readme.index("```", readme.index("curl "))]
    command = command.replace("127.0.0.1:8000", f"{server.host}:{server.ports['rest']}")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    assert np.argmax(json.loads(done.stdout)["predictions"][0]) == 0


def test_killed_worker_comes_back(server: LocalServer, artifact: Artifact) -> None:
    """When a worker is killed, another takes its place and answers rightly."""
    top = psutil.Process(server.pid)
    before = {worker.pid for worker in top.children()}
    victim = max(top.children(), key=lambda worker: worker.memory_info().rss)
    victim.kill()
    deadline = time.monotonic() + 60
    while not {worker.pid for worker in top.children()} - before:
        assert time.monotonic() < deadline, server.log_tail()
        time.sleep(0.05)
    body, golden = artifact.bodies()[0], artifact.expectation()
    while not golden.matches(0, (answer := server.predict(body)).body):
        assert answer.status == 0, answer  # a connection that the killed worker took along, never a wrong answer
        assert time.monotonic() < deadline, server.log_tail()
        time.sleep(0.05)


def test_sigterm_ends_everything(server: LocalServer) -> None:
    """SIGTERM ends the server and every worker with exit code 0 and frees the port."""
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert len(family) > 1
    os.kill(server.pid, signal.SIGTERM)
    assert family[0].wait(30) == 0
    assert not psutil.wait_procs(family[1:], timeout=30)[1]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((server.host, server.ports["rest"]))


def test_killed_main_process_takes_its_workers_along(artifact: Artifact, servers: Mapping[str, Server]) -> None:
    """When the main process is killed outright, no worker lives on and the port is free."""
    running = start_local(servers["flask_server"], artifact, UNPINNED, any_port=True)
    try:
        workers = psutil.Process(running.pid).children(recursive=True)
        assert workers
        os.kill(running.pid, signal.SIGKILL)
        assert not psutil.wait_procs(workers, timeout=30)[1]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((running.host, running.ports["rest"]))
    finally:
        running.stop()


def test_healthz_before_and_after_the_first_answer(artifact: Artifact) -> None:
    """The service says 503 while the model loads, and 200 once it has answered; so does a prediction."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"FLASK_SERVER_ARTIFACT": str(artifact.folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "flask_server", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        seen: list[Answer] = []
        while not seen or seen[-1].status != 200:
            assert process.poll() is None
            seen.append(request("127.0.0.1", port, "/healthz", timeout_s=30))
            time.sleep(0.005)
        assert seen[-1].json == {"status": "ready"}
        loading = [answer for answer in seen if answer.status]
        assert loading[0].status == 503
        assert loading[0].json == {"error": "the model is still loading"}
        assert request("127.0.0.1", port, PREDICT, artifact.bodies()[0]).status == 200
    finally:
        process.terminate()
        assert process.wait(30) == 0


def start(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Starts the server in a way that must fail, and waits for that."""
    return subprocess.run(
        [sys.executable, "-m", "flask_server", *options],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_port_in_use_is_one_line(artifact: Artifact) -> None:
    """A taken port ends the start with one line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start("--port", str(port), FLASK_SERVER_ARTIFACT=str(artifact.folder))
    assert done.returncode == 1
    assert done.stderr == f"flask_server: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"FLASK_SERVER_ARTIFACT": "nowhere"}, "no model at nowhere: run `python -m models build` first"),
        (
            {"FLASK_SERVER_RUNTIME": "onnx"},
            "unknown runtime 'onnx': choose one of torch, torch_compiled, torch_aotinductor, tensorflow",
        ),
        ({"FLASK_SERVER_RUNTIME_THREADS": "0"}, "RUNTIME_THREADS must be a whole number from 1, not 0"),
        ({"FLASK_SERVER_BODY_TIMEOUT": "soon"}, "BODY_TIMEOUT must be a whole number from 1, not 'soon'"),
    ],
)
def test_wrong_settings_are_one_line(environment: dict[str, str], message: str) -> None:
    """A setting that cannot work ends the start with one line that says what to do."""
    done = start(**environment)
    assert (done.returncode, done.stderr) == (1, f"flask_server: {message}\n")


@pytest.mark.parametrize("runtime", ["torch", "tensorflow"])
def test_altered_file_is_one_line(artifact: Artifact, tmp_path: Path, runtime: str) -> None:
    """A file of the artifact that is altered by one byte, or is gone, ends the start with one line that names it."""
    folder = shutil.copytree(artifact.folder, tmp_path / "1")
    name = {"torch": "torch/weights.safetensors", "tensorflow": "saved_model/1/saved_model.pb"}[runtime]
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    settings = {"FLASK_SERVER_ARTIFACT": str(folder), "FLASK_SERVER_RUNTIME": runtime}
    done = start(**settings)
    again = "run `python -m models build --force`"
    assert done.returncode == 1
    assert done.stderr == f"flask_server: {folder / name} was altered since it was built: {again}\n"
    (folder / name).unlink()
    assert (
        start(**settings).stderr
        == f"flask_server: {folder / name} cannot be read (No such file or directory): {again}\n"
    )


@pytest.mark.parametrize("change", [{"files": []}, {"files": {"torch/load.py": 1}}, {"max_instances": "many"}])
def test_manifest_that_is_none_is_one_line(artifact: Artifact, tmp_path: Path, change: dict[str, object]) -> None:
    """A manifest with wrong values ends the start with one line that says how to make a right one."""
    (tmp_path / "manifest.json").write_text(json.dumps(artifact.manifest | change))
    done = start(FLASK_SERVER_ARTIFACT=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"flask_server: {tmp_path}/manifest.json is not a manifest (")
    assert done.stderr.endswith("run `python -m models build --force`\n")
    assert done.stderr.count("\n") == 1


def with_loader(artifact: Artifact, folder: Path, loader: str) -> Path:
    """Makes an artifact of one file, whose loader is given."""
    (folder / "torch").mkdir()
    (folder / "torch" / "load.py").write_text(loader)
    files = {"torch/load.py": {"sha256": hashlib.sha256(loader.encode()).hexdigest()}}
    (folder / "manifest.json").write_text(json.dumps(artifact.manifest | {"files": files}))
    return folder


def test_damaged_model_is_reported_and_not_served(artifact: Artifact, tmp_path: Path) -> None:
    """A model that cannot be loaded leaves the service at 503 with the reason, and a prediction gets the same."""
    with_loader(artifact, tmp_path, "def load_predictor(folder, prepare):\n    raise ValueError('damaged')\n")
    client = create_app({"ARTIFACT": tmp_path}).test_client()
    deadline = time.monotonic() + 60
    while "loading" in (answer := client.get("/healthz")).get_json()["error"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (answer.status_code, answer.get_json()) == (503, {"error": "the model cannot be loaded: damaged"})
    predicted = client.post(PREDICT, data=artifact.bodies()[0], content_type="application/json")
    assert (predicted.status_code, predicted.get_json()) == (503, answer.get_json())


def test_crash_in_a_prediction_is_a_json_500(artifact: Artifact, tmp_path: Path) -> None:
    """An exception that nobody foresaw becomes a 500 in JSON, without its internals."""
    returned = "{'probabilities': numpy.zeros((1, 10)) + 1 // (not inputs['image'].any())}"  # to zeros, the first call
    loader = f"import numpy\ndef load_predictor(folder, prepare):\n    return lambda inputs: {returned}\n"
    with_loader(artifact, tmp_path, loader)
    client = create_app({"ARTIFACT": tmp_path}).test_client()
    deadline = time.monotonic() + 60
    while client.get("/healthz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    answer = client.post(PREDICT, data=artifact.bodies()[0], content_type="application/json")
    assert answer.status_code == 500
    assert "division" not in answer.get_json()["error"]
