import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ts.context import Context, RequestProcessor

import flask_server.predict_body
from flask_server.predict_body import NPY, NPZ, OCTETS
from loadtest.servers.artifact import ROOT
from tests.flask_server.bodies import npy, npz, octets


@pytest.fixture
def sizes() -> list[int]:
    """The batch size of every forward pass so far."""
    return []


@pytest.fixture
def handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> Any:
    """The handler, unpacked as TorchServe does, over a model that adds the pixels of each 2x2 image."""

    def model(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return batch.sum((1, 2))[:, None]

    return loaded(model, [tensor("x", "float32", [2, 2])], tmp_path, monkeypatch)


@pytest.fixture
def sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> Any:
    """The handler over a model that adds what the mask lets through of a sequence, and tells how long it is."""

    def model(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        sizes.append(len(ids))
        return torch.stack([(ids * mask).sum(1), mask.sum(1)], 1)

    ids = tensor("ids", "int64", [None], lengths=[1, 9], padding=7)
    inputs = [ids, tensor("mask", "int64", [None], lengths=[1, 9])]
    return loaded(model, inputs, tmp_path, monkeypatch)


def tensor(name: str, dtype: str, shape: list[int | None], **more: Any) -> dict[str, Any]:
    """An entry of workload.json."""
    others = {"lengths": None, "padding": 0, "minimum": None, "maximum": None}
    return {"name": name, "dtype": dtype, "shape": shape, **others, **more}


def loaded(model: Any, inputs: list[dict[str, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A handler that has loaded this model."""
    monkeypatch.setitem(sys.modules, "predict_body", flask_server.predict_body)
    loader = imported("load", ROOT / "models" / "shipped" / "load.py")
    monkeypatch.setattr(loader, "load", lambda folder: model)
    monkeypatch.setitem(sys.modules, "load", loader)
    workload = {"workload": "sums", "version": 3, "max_instances": 6, "max_request_bytes": 10_000}
    interface = {"inputs": inputs, "outputs": [tensor("sum", "float32", [2])]}
    (folder / "workload.json").write_text(json.dumps(workload | interface))
    module = imported("handler", ROOT / "torchserve" / "handler.py")
    # The process of the tests keeps its own thread counts.
    monkeypatch.setattr(torch, "set_num_interop_threads", lambda count: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    handler = module.Handler()
    handler.initialize(SimpleNamespace(system_properties={"model_dir": str(folder)}))
    return handler


def imported(name: str, path: Path) -> Any:
    """The module in a file."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def context(count: int, **headers: str) -> Context:
    """A context as TorchServe gives it for a batch of that many REST requests, of JSON."""
    return context_of([{"Host": "localhost", "body": {"content-type": "application/json"}, **headers}] * count)


def context_of(headers: list[dict[str, Any]]) -> Context:
    """A context as TorchServe gives it for a batch of requests of these headers; those of a part are a dictionary."""
    made = Context("sums", "", {}, len(headers), None, "0.12.0")
    made.request_ids = {index: str(index) for index in range(len(headers))}
    made.request_processor = [RequestProcessor(one) for one in headers]
    return made


def over_rest(content_type: str, **headers: str) -> dict[str, Any]:
    """What TorchServe tells of a REST request."""
    return {"Content-Type": content_type, "body": {"content-type": content_type.partition(";")[0]}, **headers}


def body(*fills: float) -> dict[str, Any]:
    """A request with one 2x2 image per number, filled with it."""
    return {"body": {"instances": [np.full((2, 2), fill).tolist() for fill in fills]}}


def test_worker_has_answered_before_it_is_ready(handler: Any, sizes: list[int]) -> None:
    """Loading ends with one forward pass, the slow first one."""
    assert sizes == [1]
    assert [spec.shape for spec in handler.interface.inputs] == [(2, 2)]


def test_a_batch_is_one_forward_pass(handler: Any, sizes: list[int]) -> None:
    """All instances of all good requests go through the model together, and return to their requests in order."""
    requests = [body(1, 2), {"body": b"{"}, body(3), {"body": {"instances": []}}, body(4, 5, 6)]
    answering = context(len(requests))
    answers = [json.loads(answer) for answer in handler.handle(requests, answering)]
    assert sizes[1:] == [6]
    assert [answer.get("predictions") for answer in answers] == [[[4], [8]], None, [[12]], None, [[16], [20], [24]]]
    assert [answering.get_response_status(index)[0] for index in range(5)] == [200, 400, 200, 400, 200]
    assert {answering.get_response_content_type(index) for index in range(5)} == {"application/json"}


def test_a_large_batch_goes_through_the_model_in_parts(handler: Any, sizes: list[int]) -> None:
    """However many requests meet, a forward pass takes no more instances than one request may hold."""
    fills = [[1, 2, 3, 4, 5], [6, 7, 8, 9], [10], [11, 12, 13, 14]]
    answers = [json.loads(answer) for answer in handler.handle([body(*one) for one in fills], context(4))]
    assert sizes[1:] == [6, 6, 2]
    assert [answer["predictions"] for answer in answers] == [[[4 * fill] for fill in one] for one in fills]


def test_requests_of_different_lengths_share_a_forward_pass(sequences: Any, sizes: list[int]) -> None:
    """The shorter ones are filled up with each input's padding, which the mask keeps out of the answers."""
    rows = [[5], [1, 2, 3, 4], [6, 7]]
    requests = [{"body": {"instances": [{"ids": ids, "mask": [1] * len(ids)}]}} for ids in rows]
    answers = [json.loads(answer)["predictions"] for answer in sequences.handle(requests, context(3))]
    assert sizes[1:] == [3]
    assert answers == [[[sum(ids), len(ids)]] for ids in rows]


def test_each_request_of_a_batch_has_a_form_of_its_own(sequences: Any, sizes: list[int]) -> None:
    """JSON, .npz and octets share a forward pass, and each gets its answer, or its error, in its own form."""
    rows = [{"ids": np.full((1, n), n), "mask": np.ones((1, n), np.int64)} for n in (1, 2, 3)]
    body, length = octets(rows[2])
    requests = [
        {"body": {"instances": [{name: array[0].tolist() for name, array in rows[0].items()}]}},
        {"body": bytearray(npz(rows[1]))},
        {"body": bytearray(body)},
        {"body": bytearray(body)},
        {"body": bytearray(npy(rows[1]["ids"]))},
        {"data": bytearray(npz(rows[1]))},
        {"data": bytearray(b"{")},
    ]
    answering = context_of(
        [
            over_rest("application/json"),
            over_rest("Application/X-NPZ"),
            over_rest("application/octet-stream", **{"inference-HEADER-content-length": length}),
            over_rest("application/octet-stream"),
            over_rest("application/x-npy"),
            {"data": {"content-type": ""}},
            {"data": {"content-type": ""}},
        ]
    )
    answers = sequences.handle(requests, answering)
    assert sizes[1:] == [4]
    types = ["application/json", NPY.content_type, OCTETS.content_type, *["application/json"] * 2, NPY.content_type]
    assert [answering.get_response_content_type(index) for index in range(6)] == types
    assert [answering.get_response_status(index)[0] for index in range(7)] == [200, 200, 200, 400, 400, 200, 400]
    assert json.loads(answers[0]) == {"predictions": [[1, 1]]}
    for index in (1, 5):
        assert answers[index] == npy(np.array([[4, 2]]))
    json_length = int(answering.get_response_headers(2)["Inference-Header-Content-Length"])
    assert json.loads(answers[2][:json_length])["outputs"][0]["shape"] == [1, 2]
    assert answers[2][json_length:] == np.array([[9, 3]]).tobytes()
    for index, message in ((3, "send the header Inference"), (4, NPZ.content_type), (6, "not valid JSON")):
        assert message in json.loads(answers[index])["message"]


def test_a_batch_without_good_requests_is_no_forward_pass(handler: Any, sizes: list[int]) -> None:
    """Where every request is bad the model is left alone."""
    answers = handler.handle([{"body": b""}, {}], context(2))
    assert sizes[1:] == []
    assert ["JSON" in json.loads(answer)["message"] for answer in answers] == [True, True]


def test_describe_tells_what_is_in_effect(handler: Any) -> None:
    """A describe request is answered with the versions and thread counts of the worker."""
    (answer,) = handler.handle([{}], context(1, describe="True"))
    told = json.loads(answer)
    assert (told["workload"], told["version"], told["torch"]) == ("sums", 3, torch.__version__)
    assert told["torch_threads"] == torch.get_num_threads()
