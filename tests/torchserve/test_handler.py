import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ts.context import Context, RequestProcessor

import flask_server.predict_body
from loadtest.servers.artifact import ROOT


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

    monkeypatch.setitem(sys.modules, "predict_body", flask_server.predict_body)
    loader: Any = ModuleType("load")
    loader.load = lambda folder: model
    monkeypatch.setitem(sys.modules, "load", loader)
    workload = {"workload": "sums", "version": 3, "max_instances": 6}
    workload["input"] = {"name": "x", "dtype": "float32", "shape": [2, 2]}
    (tmp_path / "workload.json").write_text(json.dumps(workload))
    spec = importlib.util.spec_from_file_location("handler", ROOT / "torchserve" / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # The process of the tests keeps its own thread counts.
    monkeypatch.setattr(torch, "set_num_interop_threads", lambda count: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    handler = module.Handler()
    handler.initialize(SimpleNamespace(system_properties={"model_dir": str(tmp_path)}))
    return handler


def context(count: int, **headers: str) -> Context:
    """A context as TorchServe gives it for a batch of that many REST requests."""
    made = Context("sums", "", {}, count, None, "0.12.0")
    made.request_ids = {index: str(index) for index in range(count)}
    made.request_processor = [RequestProcessor({"Host": "localhost", **headers}) for _ in range(count)]
    return made


def body(*fills: float) -> dict[str, Any]:
    """A request with one 2x2 image per number, filled with it."""
    return {"body": {"instances": [np.full((2, 2), fill).tolist() for fill in fills]}}


def test_worker_has_answered_before_it_is_ready(handler: Any, sizes: list[int]) -> None:
    """Loading ends with one forward pass, the slow first one."""
    assert sizes == [1]
    assert handler.shape == (2, 2)


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
