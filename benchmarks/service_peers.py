"""Flask's peers for benchmarks/servers.py: the same predictor and the same reading and writing of JSON, without Flask.

    granian … benchmarks.service_peers:bare_wsgi     a bare WSGI function behind `flask_server/rsgi.py`
    uvicorn … benchmarks.service_peers:lean          FastAPI that reads the body itself, on the event loop
    uvicorn … benchmarks.service_peers:usual         FastAPI as its tutorial has it: pydantic reads, a thread answers

Each is a factory that serves the artifact of FLASK_SERVER_ARTIFACT, with one thread for PyTorch.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from flask import Flask
from pydantic import BaseModel

from flask_server.app import read_settings
from flask_server.metrics import Metrics
from flask_server.predict_body import encode_predictions, parse_instances
from flask_server.predictor import BuiltModel, Predictor
from flask_server.rsgi import Service
from flask_server.served_model import ServedModel

LOADING_S = 120.0


class Instances(BaseModel):
    """A request as pydantic reads it: images of grey values."""

    instances: list[list[list[float]]]


def _loaded() -> tuple[Flask, BuiltModel, ServedModel, Predictor]:
    settings, artifact = read_settings()
    model = ServedModel(artifact, lambda: read_settings()[1], "torch", threads=1)
    return settings, artifact, model, model.loaded(LOADING_S).predictor


def bare_wsgi() -> Service:
    """A WSGI function in the place of the Flask application."""
    settings, artifact, model, predictor = _loaded()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        if environ["REQUEST_METHOD"] == "GET":
            return [b'{"status":"ready"}']
        inputs = parse_instances(environ["wsgi.input"].read(), artifact.interface)
        return [encode_predictions(predictor.predict(inputs))]

    answer.config = settings.config  # type: ignore[attr-defined]  # what Service reads of a Flask application
    answer.extensions = {"model": model, "metrics": Metrics()}  # type: ignore[attr-defined]  # as above
    return Service(answer)  # type: ignore[arg-type]  # as above


def lean() -> FastAPI:
    """FastAPI with the least of it: the handler is a coroutine and gives bytes."""
    _, artifact, _, predictor = _loaded()
    app = _with_health()

    @app.post("/v1/models/{name}:predict")
    async def predict(name: str, request: Request) -> Response:
        inputs = parse_instances(await request.body(), artifact.interface)
        return Response(encode_predictions(predictor.predict(inputs)), media_type="application/json")

    return app


def usual() -> FastAPI:
    """FastAPI as most people write it: a typed body, and a function that is no coroutine, so that it gets a thread."""
    _, artifact, _, predictor = _loaded()
    (image,), (output,) = artifact.interface.inputs, artifact.interface.outputs
    app = _with_health()

    @app.post("/v1/models/{name}:predict")
    def predict(name: str, body: Instances) -> dict[str, Any]:
        inputs = {image.name: np.asarray(body.instances, image.numpy_dtype)}
        return {"predictions": predictor.predict(inputs)[output.name].tolist()}

    return app


def _with_health() -> FastAPI:
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ready"}

    return app
