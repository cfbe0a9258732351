"""What TorchServe runs for each batch of requests: check each, one forward pass for all, answers back in order.

It travels inside the .mar, unpacked beside its neighbours: the folder `predict_body` of flask_server/, and `load.py`,
`network.py`, `weights.safetensors` and `workload.json` of the artifact's torch/ folder.
"""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from load import load_predictor  # type: ignore[import-not-found]  # lies beside this file in the .mar
from predict_body import (  # type: ignore[import-not-found]  # lies beside this file in the .mar
    JSON,
    BodyFormat,
    Interface,
    InvalidRequest,
    Tensors,
    TensorSpec,
    chosen_format,
    recognised_format,
)
from ts.context import Context
from ts.utils.util import PredictionException


class Handler:
    """Serves one workload. TorchServe makes one per worker process and calls it from a single thread."""

    def initialize(self, context: Context) -> None:
        """Load the model and run it once, so that a worker that reports READY has answered.

        Raises:
            OSError: A file that the .mar should hold is missing; TorchServe logs it and starts the worker again.
        """
        folder = Path(context.system_properties["model_dir"])
        self.workload = json.loads((folder / "workload.json").read_text())
        self.interface = Interface.read(self.workload)
        # TorchServe does not set torch's threads, so the torch of each worker would use every core.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        torch.set_num_interop_threads(1)
        self.form = os.environ.get("TORCH_FORM", "eager")
        self.predict = load_predictor(folder, torch.compile if self.form == "compiled" else None)
        # Compiled, two sizes lead to code for any; one instance alone gets its own.
        for size in (2, 3, 1) if self.form == "compiled" else (1,):
            self.predict({name: np.repeat(one, size, 0) for name, one in self.interface.smallest().items()})

    def handle(self, data: list[dict[str, Any]], context: Context) -> list[bytes]:
        """Answer a dynamic batch: one entry of `data` per request, one or more instances in each request.

        A bad request gets a 400 of its own; the others of its batch are answered as if it were not there. Each answer
        comes in the form of its request (`predict_body`).

        Raises:
            PredictionException: A bad gRPC request that is alone in its batch (see `refuse`).
        """
        answers = [b""] * len(data)
        accepted: dict[int, Tensors] = {}
        forms: dict[int, BodyFormat] = {}
        for index, request in enumerate(data):
            context.set_response_content_type(index, "application/json")
            if not over_rest(context, index):
                # StreamPredictions gets one answer only; without this header TorchServe loses the worker.
                context.set_response_header(index, "ts_stream_next", "false")
            if asks_to_describe(context, index, request):
                answers[index] = json.dumps(self.describe()).encode()
                continue
            try:
                name, body = payload(request)
                forms[index] = form_of(context, index, name, body)
                accepted[index] = forms[index].read(body, partial(header, context, index), self.interface)
            except InvalidRequest as error:
                answers[index] = refuse(context, index, str(error))
        if not accepted:
            return answers
        outputs = self.forward(join(list(accepted.values()), self.interface.inputs))
        start = 0
        for index, instances in accepted.items():
            stop = start + size(instances)
            try:
                answer = forms[index].write({name: array[start:stop] for name, array in outputs.items()})
            except InvalidRequest as error:
                answers[index] = refuse(context, index, str(error))
            else:
                answers[index] = answer.body
                context.set_response_content_type(index, answer.content_type)
                for name, value in answer.headers.items():
                    context.set_response_header(index, name, value)
            start = stop
        return answers

    def forward(self, batch: Tensors) -> Tensors:
        """Predict in parts of at most what one request may hold: the memory of a forward pass grows with its size."""
        most = self.interface.max_instances
        parts = [
            self.predict({name: array[first : first + most] for name, array in batch.items()})
            for first in range(0, size(batch), most)
        ]
        return parts[0] if len(parts) == 1 else {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}

    def describe(self) -> dict[str, Any]:
        """Return the settings in effect in this worker: GET /models/<name>?customized=true on the management port."""
        return {
            "workload": self.workload["workload"],
            "version": self.workload["version"],
            "torch": torch.__version__,
            "form": self.form,
            "torch_threads": torch.get_num_threads(),
            "torch_interop_threads": torch.get_num_interop_threads(),
        }


def size(tensors: Tensors) -> int:
    """How many instances there are."""
    return len(next(iter(tensors.values())))


def join(requests: list[Tensors], inputs: tuple[TensorSpec, ...]) -> Tensors:
    """Put the instances of several requests into one batch, the shorter ones filled up with the input's padding."""
    if len(requests) == 1:
        return requests[0]
    joined = {}
    for spec in inputs:
        arrays = [request[spec.name] for request in requests]
        if spec.axis is not None:
            longest = max(array.shape[spec.axis] for array in arrays)
            for index, array in enumerate(arrays):
                missing = [(0, longest - there if at == spec.axis else 0) for at, there in enumerate(array.shape)]
                arrays[index] = np.pad(array, missing, constant_values=spec.padding)
        joined[spec.name] = np.concatenate(arrays)
    return joined


def payload(request: dict[str, Any]) -> tuple[str, object]:
    """Return the payload of one request, after its name: `body` over REST, over gRPC by TorchServe's custom `data`.

    Raises:
        InvalidRequest: There is none. TorchServe takes a body without a content type for a form, as curl declares it.
    """
    for name in ("body", "data"):
        if name in request:
            return name, request[name]
    raise InvalidRequest("no JSON body: send one, with the header Content-Type: application/json")


def form_of(context: Context, index: int, name: str, body: object) -> BodyFormat:
    """Return the form of a payload: over REST by its Content-Type, over gRPC by its first bytes; else JSON."""
    if over_rest(context, index):
        form = chosen_format(context.get_request_header(index, name)["content-type"].lower())
    else:
        form = recognised_format(body)
    return form or JSON


def header(context: Context, index: int, name: str) -> str | None:
    """Return a header of a request. TorchServe keeps their names as the client wrote them, in any case."""
    headers = context.get_all_request_header(index).items()
    return next((value for key, value in headers if key.lower() == name.lower() and isinstance(value, str)), None)


def over_rest(context: Context, index: int) -> bool:
    """Return whether a request came over HTTP: only then has it headers beyond a type for each input."""
    return any(isinstance(value, str) for value in context.get_all_request_header(index).values())


def asks_to_describe(context: Context, index: int, request: dict[str, Any]) -> bool:
    """Return whether this is TorchServe's own request to describe the model, which its management API makes.

    It is told by a header that any client can send. But it has no payload, and it lacks the header `explain`, which
    TorchServe adds to what comes in at /predictions and /v1/models.
    """
    headers = context.get_all_request_header(index)
    return headers.get("describe") == "True" and "explain" not in headers and not request


def refuse(context: Context, index: int, message: str) -> bytes:
    """Mark one request of the batch as bad and return its answer, in the form of TorchServe's own error bodies.

    Raises:
        PredictionException: For a gRPC request that is alone in its batch. TorchServe reports the status of a single
            request over REST only; a gRPC client learns of an error when the whole batch fails, so where the request
            is the whole batch, that is what happens. In a larger batch it gets this body with the status OK.
    """
    if not over_rest(context, index) and len(context.request_ids) == 1:
        raise PredictionException(message, 400)
    context.set_response_status(400, "Bad Request", index)
    return json.dumps({"code": 400, "type": "BadRequestException", "message": message}).encode()
