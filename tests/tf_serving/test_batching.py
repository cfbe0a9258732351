"""Dynamic batching, in sight of a model that answers how many rows ran together.

The shared server batches up to four rows, padded to two or four, waits half a second for them, has one batch thread and
holds two waiting batches.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.tf_serving.process import ServerProcess, until

PREDICT = "/v1/models/batch:predict"
FULL = "The batch scheduling queue to which this task was submitted is full"


def together(server: ServerProcess, *bodies: dict[str, Any], path: str = PREDICT) -> list[requests.Response]:
    """Sends requests at the same time; the answers come in their order."""
    line = threading.Barrier(len(bodies))

    def send(body: dict[str, Any]) -> requests.Response:
        line.wait()
        return server.post(path, body)

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, bodies))


def rows(response: requests.Response) -> list[tuple[int, float]]:
    """For every instance, the size of the batch it ran in and its own first value."""
    assert response.status_code == 200, response.text
    return [(row["rows"], row["first"]) for row in response.json()["predictions"]]


def test_concurrent_requests_share_a_forward_pass(batching_server: ServerProcess) -> None:
    """Four requests of one row run as four rows, and each gets its own answer back."""
    answers = together(batching_server, *({"instances": [[number]]} for number in range(4)))
    assert [rows(answer) for answer in answers] == [[(4, float(number))] for number in range(4)]


def test_requests_of_several_rows_are_split_apart_again(batching_server: ServerProcess) -> None:
    """Three rows and one row fill a batch together."""
    three, one = together(batching_server, {"instances": [[1], [2], [3]]}, {"instances": [[9]]})
    assert rows(three) == [(4, 1.0), (4, 2.0), (4, 3.0)]
    assert rows(one) == [(4, 9.0)]


def test_a_lone_request_runs_after_the_timeout_padded(batching_server: ServerProcess) -> None:
    """One row is padded to two, three to four; the padding is not in the answer."""
    assert rows(batching_server.post(PREDICT, {"instances": [[7]]})) == [(2, 7.0)]
    assert rows(batching_server.post(PREDICT, {"instances": [[1], [2], [3]]})) == [(4, 1.0), (4, 2.0), (4, 3.0)]


def test_rest_and_grpc_share_a_batch(batching_server: ServerProcess) -> None:
    """A batch does not care which way its requests came."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "batch"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([[5], [6]], dtype=np.float32)))
    with grpc.insecure_channel(batching_server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        stub.Predict(request, timeout=60)  # connected from here on
        call = stub.Predict.future(request, timeout=60)
        assert rows(batching_server.post(PREDICT, {"instances": [[1], [2]]})) == [(4, 1.0), (4, 2.0)]
        outputs = call.result().outputs
    assert tf.make_ndarray(outputs["rows"]).tolist() == [4, 4]
    assert tf.make_ndarray(outputs["first"]).tolist() == [5.0, 6.0]


def test_a_bad_request_fails_alone(batching_server: ServerProcess) -> None:
    """The model refuses a negative value: a 400 for that request, and its neighbours are answered."""
    good, bad, other = together(batching_server, {"instances": [[1]]}, {"instances": [[-1]]}, {"instances": [[2], [3]]})
    assert rows(good)[0][1] == 1.0
    assert bad.status_code == 400
    assert [first for _, first in rows(other)] == [2.0, 3.0]


def test_different_shapes_do_not_meet(batching_server: ServerProcess) -> None:
    """Rows of one and of two values are two batches, both answered."""
    narrow, wide = together(batching_server, {"instances": [[1]]}, {"instances": [[2, 3]]})
    assert rows(narrow) == [(2, 1.0)]
    assert rows(wide) == [(2, 2.0)]


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        ("batch", {"instances": [[1]] * 5}, "Task size 5 is larger than maximum input batch size 4"),
        ("numbers", {"inputs": 1.0, "signature_name": "float32"}, "must have at least one dimension"),
        ("numbers", {"inputs": [1.0], "signature_name": "total"}, "Batched output tensor has 0 dimensions"),
        ("gate", {"inputs": {"started": [], "opened": ["x"]}}, "must have equal 0th-dimension size"),
    ],
)
def test_what_cannot_be_batched(batching_server: ServerProcess, model: str, body: Any, message: str) -> None:
    """The real server's texts for requests that do not fit its batches."""
    response = batching_server.post(f"/v1/models/{model}:predict", body)
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_a_full_queue_is_503(batching_server: ServerProcess, tmp_path: Path) -> None:
    """With the thread busy and two batches waiting, one more is turned away over either wire; others are served."""

    def body(number: int) -> dict[str, Any]:
        row = {"started": str(tmp_path / f"started-{number}"), "opened": str(tmp_path / "opened")}
        return {"instances": [row] * 4}  # a full batch

    path = "/v1/models/gate:predict"
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batching_server.post, path, body(0))
        until((tmp_path / "started-0").exists, "the first batch runs")
        others = [pool.submit(batching_server.post, path, body(number)) for number in (1, 2, 3)]
        refused = until(lambda: [call.result() for call in others if call.done()], "one is turned away")
        over_grpc = ask_over_grpc(
            batching_server, "gate", **{name: [row] * 4 for name, row in body(4)["instances"][0].items()}
        )
        (tmp_path / "opened").touch()
        codes = sorted(call.result().status_code for call in (first, *others))
    assert [response.status_code for response in refused] == [503]
    assert refused[0].json() == {"error": FULL}
    assert over_grpc == (grpc.StatusCode.UNAVAILABLE, FULL)
    assert codes == [200, 200, 200, 503]


def ask_over_grpc(server: ServerProcess, model: str, **inputs: list[str]) -> tuple[grpc.StatusCode, str]:
    """The status of a request that is turned away, and its message."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as refused:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    return refused.value.code(), refused.value.details()


def test_batches_are_counted(batching_server: ServerProcess) -> None:
    """The page has the number of forward passes, and how long requests waited for them."""

    def page() -> dict[str, str]:
        text = requests.get(f"{batching_server.url}/metrics", timeout=60).text
        return dict(line.rsplit(" ", 1) for line in text.splitlines())

    runs = ":tensorflow:serving:batching_session:wrapped_run_count{}"
    batching_server.post(PREDICT, {"instances": [[1]]})
    before = int(page()[runs])
    together(batching_server, *({"instances": [[number]]} for number in range(4)))
    assert int(page()[runs]) == before + 1


def test_many_requests_at_once_are_not_mixed_up(batching_server: ServerProcess) -> None:
    """Under load every request gets its own rows, whatever batch they ran in."""

    def ask(number: int) -> list[float]:
        body = {"instances": [[number + part / 8] for part in range(1 + number % 4)]}
        response = batching_server.post(PREDICT, body)
        while response.status_code == 503:
            response = batching_server.post(PREDICT, body)
        return [first for _, first in rows(response)]

    with ThreadPoolExecutor(12) as pool:
        for number, found in enumerate(pool.map(ask, range(96))):
            assert found == [number + part / 8 for part in range(1 + number % 4)]
