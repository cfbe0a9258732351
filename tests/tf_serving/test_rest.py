"""The REST API of TensorFlow Serving, answered by the embedded server."""

import base64
import gzip
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.tf_serving.process import ServerProcess, until
from tests.tf_serving.rest_client import SCALE, answer, error, http_request


def test_row_format_answers_predictions(server: ServerProcess) -> None:
    """A single output goes unnamed, one entry per instance."""
    assert answer(server, f"{SCALE}:predict", {"instances": [[1, 2], [0.5, -1]]}) == {
        "predictions": [[30.0, 60.0], [15.0, -30.0]]
    }


def test_column_format_answers_outputs(server: ServerProcess) -> None:
    """The single input may go unnamed or by its name."""
    expected = {"outputs": [[30.0, 60.0]]}
    assert answer(server, f"{SCALE}:predict", {"inputs": [[1, 2]]}) == expected
    assert answer(server, f"{SCALE}:predict", {"inputs": {"x": [[1, 2]]}}) == expected


def test_named_inputs_and_outputs_in_both_formats(server: ServerProcess) -> None:
    """Several inputs are objects per instance or columns, and several outputs come back the same way."""
    rows = [{"a": 0.5, "b": [1, 2]}, {"a": -9, "b": [3, 4]}]
    assert answer(server, "/v1/models/named:predict", {"instances": rows}) == {
        "predictions": [
            {"doubled": [2, 4], "positive": True, "total": 3.5},
            {"doubled": [6, 8], "positive": False, "total": -2.0},
        ]
    }
    columns = {"a": [0.5, -9], "b": [[1, 2], [3, 4]]}
    assert answer(server, "/v1/models/named:predict", {"inputs": columns}) == {
        "outputs": {"doubled": [[2, 4], [6, 8]], "positive": [True, False], "total": [3.5, -2.0]}
    }


def test_signature_name_picks_the_signature(server: ServerProcess) -> None:
    """Another signature than serving_default; an empty name means the default."""
    body = {"instances": [[1, 2]], "signature_name": "negate"}
    assert answer(server, f"{SCALE}:predict", body) == {"predictions": [[-1.0, -2.0]]}
    assert answer(server, f"{SCALE}:predict", {**body, "signature_name": ""}) == {"predictions": [[30.0, 60.0]]}


@pytest.mark.parametrize(
    ("path", "factor"),
    [("", 30), ("/versions/1", 10), ("/versions/3", 30), ("/labels/stable", 10), ("/labels/canary", 30)],
)
def test_versions_and_labels(server: ServerProcess, path: str, factor: int) -> None:
    """A request goes to the version it names, to the one its label stands for, or to the latest."""
    found = answer(server, f"{SCALE}{path}:predict", {"instances": [[1, 2]]})
    assert found == {"predictions": [[factor, 2 * factor]]}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("int8", [-128, 127]),
        ("uint8", [0, 255]),
        ("int16", [-32768, 32767]),
        ("int32", [-(2**31), 2**31 - 1]),
        ("uint32", [0, 2**32 - 1]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint64", [1, 2**64 - 1]),
        ("bool", [True, False]),
        ("float32", [1.5, -0.25]),
        ("float64", [0.1, 1e300]),
    ],
)
def test_every_type_makes_the_round_trip(server: ServerProcess, name: str, values: list[Any]) -> None:
    """The limits of each type arrive and come back unchanged, in several shapes."""
    for inputs in (values, [values, values], values[0], [[[value]] for value in values]):
        body = {"inputs": inputs, "signature_name": name}
        assert answer(server, "/v1/models/numbers:predict", body) == {"outputs": inputs}


def test_floats_survive_the_round_trip(server: ServerProcess) -> None:
    """What comes back as text is the same float32, and 0.1 is not 0.10000000149011612."""
    values = np.array([0.1, 1 / 3, 1e-7, 16777216, 3.4028235e38, 1e-45], dtype=np.float32)
    body = {"inputs": [float(value) for value in values], "signature_name": "float32"}
    response = server.post("/v1/models/numbers:predict", body)
    assert np.array_equal(np.array(response.json()["outputs"], dtype=np.float32), values)
    assert "0.1," in response.text


def test_nan_and_infinity_are_bare_in_both_directions(server: ServerProcess) -> None:
    """They are read as numbers, and written as JavaScript does, not quoted and not null."""
    found = server.post("/v1/models/numbers:predict", {"instances": [1, -1, 0], "signature_name": "divide"})
    assert [part.strip() for part in found.text.split("[")[1].split("]")[0].split(",")] == [
        "Infinity",
        "-Infinity",
        "NaN",
    ]
    body = b'{"inputs": [NaN, Infinity, -Infinity, 0.1], "signature_name": "float32"}'
    outputs = answer(server, "/v1/models/numbers:predict", body)["outputs"]
    assert math.isnan(outputs[0])
    assert outputs[1:] == [math.inf, -math.inf, 0.1]


def test_bytes_travel_as_base64(server: ServerProcess) -> None:
    """{"b64": ...} is bytes in an input, and in an output whose name ends in _bytes; text is UTF-8."""
    raw = bytes(range(256))
    instances: list[Any] = [{"b64": base64.b64encode(raw).decode()}, "Zürich"]
    predictions = answer(server, "/v1/models/text:predict", {"instances": instances})["predictions"]
    assert [row["length"] for row in predictions] == [256, 7]
    assert base64.b64decode(predictions[0]["shout_bytes"]["b64"]) == raw + b"!"
    body = {"inputs": ["Zürich"], "signature_name": "plain"}
    assert answer(server, "/v1/models/text:predict", body) == {"outputs": ["Zürich!"]}


def test_gzip_request_body(server: ServerProcess) -> None:
    """A compressed body is the same request; one that is not gzip is an empty document."""
    packed = gzip.compress(b'{"instances": [[1, 2]]}')
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    response = server.post(f"{SCALE}:predict", packed, headers=headers)
    assert response.json() == {"predictions": [[30.0, 60.0]]}
    response = server.post(f"{SCALE}:predict", packed[:-9], headers=headers)
    assert response.status_code == 400
    assert response.json() == {"error": "JSON Parse error: The document is empty"}


def test_status(server: ServerProcess) -> None:
    """The status of every version, newest first, or of the one that is named."""
    ok = {"error_code": "OK", "error_message": ""}
    first, third = ({"version": number, "state": "AVAILABLE", "status": ok} for number in "13")
    for path, expected in (
        ("", [third, first]),
        ("/versions/1", [first]),
        ("/labels/canary", [third]),
    ):
        response = http_request(server, "GET", f"{SCALE}{path}")
        assert response == (200, {"model_version_status": expected})


def test_metadata(server: ServerProcess) -> None:
    """The signatures, with dimensions and types, of the version that answers."""
    status, found = http_request(server, "GET", f"{SCALE}/versions/1/metadata")
    assert status == 200
    assert found["model_spec"] == {"name": "scale", "signature_name": "", "version": "1"}
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in signature["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1", "2"]


@pytest.mark.parametrize("call", ["classify", "regress"])
def test_only_predict_is_available(server: ServerProcess, call: str) -> None:
    """The other two calls of the API say what there is instead."""
    assert error(server, f"{SCALE}:{call}", {"examples": [{"x": 1}]}) == (
        501,
        f"{call} is not available in the embedded server, only predict",
    )


def test_a_name_may_be_percent_encoded(server: ServerProcess) -> None:
    """A client may encode more of the path than it has to; the method is taken as it is."""
    body = {"instances": [[1, 2]]}
    assert answer(server, "/v1/models/%73cale:predict", body) == {"predictions": [[30.0, 60.0]]}
    assert error(server, f"{SCALE}:PREDICT", body) == (400, f"Malformed request: POST {SCALE}:PREDICT")


def test_a_slow_model_does_not_hold_up_the_others(server: ServerProcess, tmp_path: Path) -> None:
    """The event loop answers while a forward pass runs, which ends at its time limit."""
    body = {"instances": [{"started": str(tmp_path / "started"), "opened": str(tmp_path / "opened")}]}
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.post, "/v1/models/gate:predict", body)
        until((tmp_path / "started").exists, "the slow request runs")
        assert answer(server, f"{SCALE}:predict", {"instances": [[1, 2]]}) == {"predictions": [[30.0, 60.0]]}
        assert not slow.done()
        assert slow.result().status_code == 504
        assert slow.result().json() == {"error": "Timed out waiting for notification"}


def test_metrics(server: ServerProcess) -> None:
    """Prometheus text at the configured path, under the real server's names."""

    def page() -> dict[str, float]:
        response = requests.get(f"{server.url}/metrics", timeout=60)
        assert response.headers["content-type"].startswith("text/plain")
        lines = [line for line in response.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    prefix = ":tensorflow:serving"
    ok = prefix + ':request_count{model_name="scale",status="OK"}'
    bad = prefix + ':request_count{model_name="scale",status="INVALID_ARGUMENT"}'
    labels = 'model_name="scale",API="predict",entrypoint="REST"'
    seen = f"{prefix}:request_latency_count{{{labels}}}"
    answer(server, f"{SCALE}:predict", {"instances": [[1, 2]]})
    before = page()
    answer(server, f"{SCALE}:predict", {"instances": [[1, 2]]})
    error(server, f"{SCALE}:predict", {})
    after = page()
    assert after[ok] == before[ok] + 1
    assert after[bad] == before.get(bad, 0) + 1
    assert after[seen] == before[seen] + 1
    buckets = [value for name, value in after.items() if name.startswith(f"{prefix}:request_latency_bucket{{{labels},")]
    assert len(buckets) == 34
    assert buckets == sorted(buckets)
    assert buckets[-1] == after[seen]


def test_concurrent_requests_get_their_own_answers(server: ServerProcess) -> None:
    """No answer is mixed up among many at once."""

    def ask(number: int) -> Any:
        return answer(server, f"{SCALE}:predict", {"instances": [[number, -number]]})

    with ThreadPoolExecutor(16) as pool:
        for number, found in enumerate(pool.map(ask, range(400))):
            assert found == {"predictions": [[30.0 * number, -30.0 * number]]}
