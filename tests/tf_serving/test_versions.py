"""Version folders: found, swapped under load, broken, removed; and the model configuration."""

import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.tf_serving import saved_models
from tests.tf_serving.conftest import Start, model_config
from tests.tf_serving.process import ServerProcess, until

BODY = {"instances": [[1, 2]]}


class Load:
    """Requests without a pause, over REST and gRPC; `factors` is every distinct answer in the order of appearance."""

    def __init__(self, server: ServerProcess, model: str) -> None:
        self.factors: list[float] = []
        self.failures: list[str] = []
        self.count = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(call,))
            for call in (self._rest(server, model), self._rest(server, model), self._grpc(server, model))
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, call: Callable[[], float]) -> None:
        while not self._stop.is_set():
            try:
                factor = call()
            except Exception as error:
                self.failures.append(repr(error))
                return
            self.count += 1
            if factor not in self.factors:
                self.factors.append(factor)

    def _rest(self, server: ServerProcess, model: str) -> Callable[[], float]:
        session = requests.Session()

        def call() -> float:
            response = session.post(f"{server.url}/v1/models/{model}:predict", json=BODY, timeout=60)
            response.raise_for_status()
            factor: float = response.json()["predictions"][0][0]
            return factor

        return call

    def _grpc(self, server: ServerProcess, model: str) -> Callable[[], float]:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.target))
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([[1, 2]], dtype=np.float32)))

        def call() -> float:
            factor: float = stub.Predict(request, timeout=60).outputs["y"].float_val[0]
            return factor

        return call


def test_a_new_version_takes_over_without_a_lost_request(start: Start, tmp_path: Path) -> None:
    """Under load: version 2 is loaded, warmed up and served, version 1 unloaded; a broken version 3 changes nothing."""
    base = tmp_path / "models" / "scale"
    saved_models.scale(base, 1, 10.0)
    server = start(
        "--model_name=scale",
        f"--model_base_path={base}",
        "--max_num_load_retries=0",
        "--tensorflow_intra_op_parallelism=1",
        "--tensorflow_inter_op_parallelism=1",
    )
    server.wait("scale")
    with Load(server, "scale") as load:
        until(lambda: 10.0 in load.factors, "answers of version 1")
        second = saved_models.scale(tmp_path / "models" / "next", 2, 20.0)
        saved_models.add_warmup(second, "scale", [[1.0, 2.0]])
        second.rename(base / "2")
        server.wait("scale", 1, "END")
        served = load.count
        until(lambda: load.count > served + 50, "answers after the swap")
        saved_models.break_version(base, 3)
        server.wait("scale", 3, "END")
        served = load.count
        until(lambda: load.count > served + 50, "answers after the failure")
    assert load.failures == []
    assert load.factors == [10.0, 20.0]
    assert server.states("scale") == {3: "END", 2: "AVAILABLE", 1: "END"}
    status = requests.get(f"{server.url}/v1/models/scale", timeout=60).json()["model_version_status"]
    assert [entry["status"]["error_code"] for entry in status] == ["DATA_LOSS", "OK", "OK"]
    assert "saved_model.pb" in status[0]["status"]["error_message"]
    assert "replayed 1 warm-up requests for scale version 2" in server.log_text()
    assert server.terminate() == 0
    stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) ")
    assert [line for line in server.log_text().splitlines() if not stamp.match(line)] == []


def test_an_old_version_waits_for_its_requests_and_a_stop_waits_too(start: Start, tmp_path: Path) -> None:
    """A request that began on version 1 ends on it, though 2 serves by then; SIGTERM then lets one of 2 finish."""
    base = tmp_path / "models" / "gate"
    saved_models.gate(base, 1)
    server = start("--model_name=gate", f"--model_base_path={base}", "--tensorflow_inter_op_parallelism=8")
    server.wait("gate")

    def body(name: str) -> Any:
        return {"instances": [{part: str(tmp_path / f"{name}-{part}") for part in ("started", "opened")}]}

    path = "/v1/models/gate:predict"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.post, path, body("first"))
        until((tmp_path / "first-started").exists, "the first request runs")
        saved_models.gate(base, 2)
        server.wait("gate", 2)
        server.wait("gate", 1, "UNLOADING")
        (tmp_path / "quick-opened").touch()
        assert server.post(path, body("quick")).json() == {"predictions": [2]}
        assert not first.done()
        (tmp_path / "first-opened").touch()
        assert first.result().json() == {"predictions": [1]}
        server.wait("gate", 1, "END")

        second = pool.submit(server.post, path, body("second"))
        until((tmp_path / "second-started").exists, "the second request runs")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in server.log_text(), "the server is stopping")
        (tmp_path / "second-opened").touch()
        assert second.result().json() == {"predictions": [2]}
    assert server.process.wait(timeout=60) == 0


def test_a_request_that_never_ends_does_not_hold_up_a_stop(start: Start, tmp_path: Path) -> None:
    """After the grace period the server leaves all the same, also on SIGINT, with exit code 0."""
    base = tmp_path / "models" / "gate"
    saved_models.gate(base, 1)
    server = start("--model_name=gate", f"--model_base_path={base}", "--rest_api_timeout_in_ms=0")
    server.wait("gate")
    with ThreadPoolExecutor(1) as pool:
        row = {"started": str(tmp_path / "started"), "opened": str(tmp_path / "opened")}
        pool.submit(server.post, "/v1/models/gate:predict", {"instances": [row]})
        until((tmp_path / "started").exists, "the request runs")
        assert server.terminate(signal.SIGINT) == 0
    assert "Traceback" not in server.log_text()


def test_model_configuration_is_followed_and_reloaded(start: Start, tmp_path: Path, models: Path) -> None:
    """The config file: version policies, a model added later, labels moved, one removed; then a reload by gRPC."""
    file = tmp_path / "models.config"

    def write(*entries: str) -> None:
        (tmp_path / "new.config").write_text(f"model_config_list {{ {''.join(entries)} }}")
        (tmp_path / "new.config").rename(file)

    def label(name: str, version: int) -> str:
        return f'version_labels {{ key: "{name}" value: {version} }}'

    every = "model_version_policy { all {} }"
    write(model_config("scale", models / "scale", "model_version_policy { latest { num_versions: 2 } }"))
    server = start(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1")
    server.wait("scale", 3)
    server.wait("scale", 2)
    assert server.states("scale") == {3: "AVAILABLE", 2: "AVAILABLE"}

    write(model_config("scale", models / "scale", every + label("old", 2)), model_config("text", models / "text"))
    server.wait("text")
    server.wait("scale", 1)
    labelled = "/v1/models/scale/labels/old:predict"
    assert server.post(labelled, BODY).json() == {"predictions": [[20.0, 40.0]]}

    # A label may not move to a version that is not there: nothing of this file is taken over.
    write(model_config("scale", models / "scale", every + label("old", 7)))
    until(lambda: "not taken over" in server.log_text(), "the refusal is logged")
    file.write_text("nonsense {")
    until(lambda: "cannot parse" in server.log_text(), "the parse error is logged")
    assert server.post(labelled, BODY).json() == {"predictions": [[20.0, 40.0]]}
    assert server.states("text") == {1: "AVAILABLE"}

    only = "model_version_policy { specific { versions: 1 } }"
    write(model_config("scale", models / "scale", only))
    server.wait("text", 1, "END")
    server.wait("scale", 3, "END")
    assert server.post("/v1/models/scale:predict", BODY).json() == {"predictions": [[10.0, 20.0]]}
    assert server.post("/v1/models/text:predict", {"instances": ["a"]}).status_code == 404

    request = model_management_pb2.ReloadConfigRequest()
    entry = model_config("numbers", models / "numbers")
    text_format.Parse(f"model_config_list {{ {entry} }}", request.config)
    with grpc.insecure_channel(server.target) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        assert stub.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
        assert server.states("numbers") == {1: "AVAILABLE"}
        server.wait("scale", 1, "END")
        request.config.model_config_list.config[0].base_path = "relative"
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert server.states("numbers") == {1: "AVAILABLE"}


@pytest.mark.parametrize("mended", ["another folder", "the same folder"])
def test_a_right_configuration_after_a_broken_one(start: Start, tmp_path: Path, mended: str) -> None:
    """A reload by gRPC to a folder that cannot be loaded is followed by one that can, with no request lost between."""
    good, bad = tmp_path / "good" / "scale", tmp_path / "bad" / "scale"
    saved_models.scale(good, 1, 10.0)
    saved_models.break_version(bad, 2)
    flags = ("--max_num_load_retries=1", "--load_retry_interval_micros=1000")
    server = start("--model_name=scale", f"--model_base_path={good}", *flags)
    server.wait("scale")
    with grpc.insecure_channel(server.target) as channel, Load(server, "scale") as load:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)

        def reload(*entries: str) -> None:
            request = model_management_pb2.ReloadConfigRequest()
            text_format.Parse(f"model_config_list {{ {''.join(entries)} }}", request.config)
            stub.HandleReloadConfigRequest(request, timeout=60)

        reload(model_config("scale", bad))
        server.wait("scale", 2, "END")
        with pytest.raises(grpc.RpcError, match="did not become available"):
            reload(model_config("scale", bad), model_config("new", bad))
        if mended == "the same folder":
            (bad / "2").rename(tmp_path / "away")
            saved_models.scale(tmp_path / "next", 2, 20.0).rename(bad / "2")
            good = bad
        reload(model_config("scale", good), model_config("new", good))
        expected, version = (20.0, 2) if good is bad else (10.0, 1)
        assert server.states("new")[version] == "AVAILABLE"
        server.wait("scale", version)
        until(lambda: load.factors[-1] == expected, "answers of the right version")
    assert load.failures == []
    assert {name: server.states(name)[version] for name in ("scale", "new")} == dict.fromkeys(
        ("scale", "new"), "AVAILABLE"
    )


def test_a_missing_model_is_waited_for(start: Start, tmp_path: Path) -> None:
    """No port answers until the base path and a version appear; the log says what is waited for, once."""
    base = tmp_path / "models" / "scale"
    server = start("--model_name=scale", f"--model_base_path={base}")
    waiting = f"waiting for model scale: cannot read its base path {base}"
    until(lambda: waiting in server.log_text(), "the log says so")
    time.sleep(1.5)  # more than one poll
    assert server.states("scale") == {}
    base.mkdir(parents=True)
    until(lambda: "each version is a folder named by a number" in server.log_text(), "the log says what is missing")
    saved_models.scale(base, 1, 10.0)
    server.wait("scale")
    assert server.post("/v1/models/scale:predict", BODY).json() == {"predictions": [[10.0, 20.0]]}
    assert server.log_text().count(waiting) == 1
