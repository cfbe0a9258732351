"""Binary tensors over both APIs, through the signature `serving_bytes` of the models that are built here."""

import base64
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_serving.apis import prediction_service_pb2_grpc

from loadtest.servers.artifact import Artifact
from models import example_files, serving_bytes
from models.artifact_manifest import read
from tests.models.conftest import real_model
from tests.models.tiny import strings
from tests.tf_serving.conftest import Start
from tests.tf_serving.grpc_requests import TIMEOUT, failure, predict_request
from tests.tf_serving.process import ROOT, ServerProcess
from tests.tf_serving.rest_client import answer, error
from tests.tf_serving.test_batching import together

Octets = Mapping[str, NDArray[np.object_]]
SIGNATURE = {"signature_name": "serving_bytes"}
SEQUENCE = "/v1/models/sequence:predict"
DIGITS = "/v1/models/digits:predict"


def b64(octets: bytes) -> dict[str, str]:
    """Bytes as JSON has them."""
    return {"b64": base64.b64encode(octets).decode()}


def columns(octets: Octets) -> dict[str, Any]:
    """A request by column, each input by its name."""
    return SIGNATURE | {"inputs": {name: [b64(one) for one in array] for name, array in octets.items()}}


def rows(octets: Octets) -> dict[str, Any]:
    """A request by row: objects, or bare values for one input."""
    names = list(octets)
    instances = [dict(zip(names, map(b64, row), strict=True)) for row in zip(*octets.values(), strict=True)]
    return SIGNATURE | {"instances": instances if len(names) > 1 else [row[names[0]] for row in instances]}


def proto(model: str, octets: Octets) -> Any:
    """The same for gRPC."""
    request = predict_request(model, **octets)
    request.model_spec.signature_name = "serving_bytes"
    return request


def of_ids(*ids: list[int]) -> Octets:
    """Sequences of these ids, each with pairs of ones: the answer is twice the sum."""
    return {
        "ids": strings(*(np.array(one, "<i8") for one in ids)),
        "pairs": strings(*(np.ones((len(one), 2), "<f4") for one in ids)),
    }


def test_golden_answers_in_every_form(server: ServerProcess, prediction: Any, artifact: Artifact) -> None:
    """Images in rows, in columns with and without a name, and as a tensor of strings."""
    golden, outputs = example_files.read(artifact.folder, read(artifact.folder).golden)
    octets = {"image": strings(*golden.inputs["image"])}
    unnamed = SIGNATURE | {"inputs": columns(octets)["inputs"]["image"]}
    for body, key in ((rows(octets), "predictions"), (columns(octets), "outputs"), (unnamed, "outputs")):
        np.testing.assert_allclose(answer(server, DIGITS, body)[key], outputs["probabilities"], atol=1e-5)
    found = prediction.Predict(proto("digits", octets), timeout=TIMEOUT)
    assert found.model_spec.signature_name == "serving_bytes"
    np.testing.assert_allclose(tf.make_ndarray(found.outputs["probabilities"]), outputs["probabilities"], atol=1e-5)


def test_several_inputs_of_several_lengths(server: ServerProcess, prediction: Any) -> None:
    """Instances are objects of strings, and those of one request may differ in length."""
    octets = of_ids([1, 2], [3, 4, 5, 6], [9, 9, 9])
    right = [{"total": 6, "filled": 2}, {"total": 36, "filled": 0}, {"total": 54, "filled": 1}]
    assert answer(server, SEQUENCE, rows(octets))["predictions"] == right
    by_column = {name: [row[name] for row in right] for name in ("total", "filled")}
    assert answer(server, SEQUENCE, columns(octets))["outputs"] == by_column
    outputs = prediction.Predict(proto("sequence", octets), timeout=TIMEOUT).outputs
    assert {name: tf.make_ndarray(tensor).tolist() for name, tensor in outputs.items()} == by_column


def test_metadata_tells_of_it(server: ServerProcess) -> None:
    """A client sees which models have the signature, and that its inputs are strings."""
    path = "/v1/models/{}/metadata"
    signatures = {
        model: requests.get(server.url + path.format(model), timeout=TIMEOUT).json()["metadata"]["signature_def"]
        for model in ("sequence", "scale")
    }
    found = signatures["sequence"]["signature_def"]["serving_bytes"]["inputs"]
    shapes = {name: (one["dtype"], [dim["size"] for dim in one["tensor_shape"]["dim"]]) for name, one in found.items()}
    assert shapes == {"ids": ("DT_STRING", ["-1"]), "pairs": ("DT_STRING", ["-1"])}
    assert "serving_bytes" not in signatures["scale"]["signature_def"]


IMAGE = bytes(256)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (DIGITS, {"instances": [b64(IMAGE[1:])]}, "image must have 256 bytes in each instance; there are"),
        (DIGITS, {"instances": [b64(IMAGE), b64(IMAGE + b"\0")]}, "image must have 256 bytes in each instance"),
        (DIGITS, {"instances": [b64(IMAGE * 2)]}, "image must have 256 bytes in each instance"),
        (DIGITS, {"instances": [b64(b"")]}, "image must have 256 bytes in each instance"),
        (DIGITS, {"instances": ["text"]}, "image must have 256 bytes in each instance"),
        (DIGITS, {"instances": [{"b64": "no base64!"}]}, "Unable to base64 decode"),
        (DIGITS, {"instances": [{"b64": "Grüße"}]}, "Unable to base64 decode"),
        (DIGITS, {"instances": [{"b64": 1}]}, ""),
        (DIGITS, {"instances": [[b64(IMAGE)]]}, "input image must have shape [-1], not [1,1]"),
        (DIGITS, {"inputs": b64(IMAGE)}, "input image must have shape [-1], not []"),
        (DIGITS, {"instances": [[0.5] * 8] * 8}, "is not of expected type: string"),
        (SEQUENCE, {"instances": [b64(bytes(16))]}, ""),
        (SEQUENCE, {"instances": [{"ids": b64(bytes(16))}]}, "keys must be equal to: ids,pairs"),
        (SEQUENCE, {"instances": [{"ids": b64(bytes(17)), "pairs": b64(bytes(16))}]}, "ids must have 16 to 72 bytes"),
        (SEQUENCE, {"instances": [{"ids": b64(bytes(16)), "pairs": b64(bytes(24))}]}, "must have the same length"),
        (SEQUENCE, {"instances": [{"ids": b64(bytes(16)), "pairs": {"b64": "?"}}]}, "Unable to base64 decode"),
    ],
)
def test_what_is_no_instance_is_a_400(server: ServerProcess, path: str, body: Any, message: str) -> None:
    """A wrong size, text that is no base64, a wrong rank; and the server serves on."""
    status, told = error(server, path, SIGNATURE | body)
    assert (status, message in told) == (400, True), told
    assert answer(server, SEQUENCE, rows(of_ids([1, 2])))["predictions"][0]["total"] == 6


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([IMAGE + b"\0"], np.object_), "image must have 256 bytes in each instance"),
        (np.array([[IMAGE]], np.object_), "input image must have shape [-1]"),
        (np.array(IMAGE, np.object_), "input image must have shape [-1]"),
        (np.zeros((1, 8, 8), np.float32), "input image must be of type string"),
    ],
)
def test_what_is_no_instance_is_an_invalid_argument(prediction: Any, array: Any, message: str) -> None:
    """The same over gRPC."""
    code, told = failure(lambda: prediction.Predict(proto("digits", {"image": array}), timeout=TIMEOUT))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert message in told


def test_requests_of_different_lengths_share_a_batch(batching_server: ServerProcess) -> None:
    """Four at once run as one batch, filled up to the longest of them; each gets its own answer."""
    ids = [[1, 2], [3] * 9, [4, 5, 6], [8] * 5]
    answers = together(batching_server, *(rows(of_ids(one)) for one in ids), path=SEQUENCE)
    found = [response.json()["predictions"] for response in answers]
    assert found == [[{"total": 2 * sum(one), "filled": 9 - len(one)}] for one in ids]


def test_a_string_of_wrong_size_fails_alone(batching_server: ServerProcess) -> None:
    """Its neighbours in the batch are answered."""
    bad = {"ids": strings(np.ones(2, "<i8")), "pairs": strings(np.ones(6, "<f4"))}
    good, refused = together(batching_server, rows(of_ids([1, 2, 3])), rows(bad), path=SEQUENCE)
    assert good.json()["predictions"][0]["total"] == 12
    assert (refused.status_code, "must have the same length" in refused.text) == (400, True)


@pytest.mark.slow
def test_sentences_of_many_lengths_share_batches(start: Start) -> None:
    """The real text encoder with the parameters of `tf_serving:batching`, over both APIs: every answer is right."""
    folder = real_model("minilm")
    manifest = read(folder)
    examples, outputs = example_files.read(folder, manifest.load)
    assert examples.lengths is not None
    assert len(set(examples.lengths.tolist())) == 8
    octets = [serving_bytes.encoded(examples.part(slice(row, row + 1)), manifest.inputs) for row in range(256)]
    server = start(
        "--model_name=minilm",
        f"--model_base_path={folder / 'saved_model'}",
        "--enable_batching",
        f"--batching_parameters_file={ROOT / 'tf_serving' / 'batching.varying.config'}",
        f"--monitoring_config_file={ROOT / 'tf_serving' / 'monitoring.config'}",
        "--rest_api_num_threads=64",
        "--grpc_max_threads=64",
    )
    server.wait("minilm")

    def batches() -> int:
        text = requests.get(f"{server.url}/monitoring/prometheus/metrics", timeout=TIMEOUT).text
        name = ":tensorflow:serving:batching_session:wrapped_run_count"
        return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    with grpc.insecure_channel(server.target) as channel, ThreadPoolExecutor(16) as pool:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def by_rest(one: Octets) -> Any:
            return answer(server, "/v1/models/minilm:predict", rows(one))["predictions"][0]

        def by_grpc(one: Octets) -> Any:
            return tf.make_ndarray(stub.Predict(proto("minilm", one), timeout=TIMEOUT).outputs["embedding"])[0]

        for ask in (by_rest, by_grpc):
            before = batches()
            found = np.array(list(pool.map(ask, octets)))
            np.testing.assert_allclose(found, outputs["embedding"], atol=manifest.tolerance)
            assert batches() - before < len(octets) / 2
