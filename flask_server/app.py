"""The Flask application: `create_app()` serves one artifact over HTTP.

    POST /v1/models/<name>:predict    {"instances": [...]} -> {"predictions": [...]}, or a binary form (`predict_body`)
    GET  /v1/models/<name>            which model this is, and the settings in effect
    GET  /healthz                     200 once the model has answered, 503 before
    GET  /metrics                     requests, times and refusals of all worker processes, for Prometheus
    GET  /openapi.json                all of this as an OpenAPI document

Settings come from the environment with the prefix FLASK_SERVER_ (see README.md) or from `create_app({...})`.
"""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import IO, Any

from flask import Flask, Response, json, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import (
    HTTPException,
    NotFound,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from werkzeug.routing import BaseConverter

from flask_server.bearer_token import BearerToken
from flask_server.metrics import CONTENT_TYPE, Metrics
from flask_server.openapi import openapi_document
from flask_server.predict_body import FORMATS, InvalidRequest, chosen_format
from flask_server.predictor import RUNTIMES, BuiltModel, BuiltModelError, find_model
from flask_server.served_model import ServedModel

LOADING_S = 60.0

DRAIN_LIMIT = 256 * 1024 * 1024
"""Bytes of a refused request that are read and dropped. Closing the connection while the client still sends would reset
it, and the client would never see the answer."""

WHOLE_NUMBERS = ("RUNTIME_THREADS", "THREADS", "QUEUE", "MAX_CONTENT_LENGTH", "BODY_TIMEOUT")


class ModelName(BaseConverter):
    """A name in a URL, up to the colon that starts a verb."""

    regex = "[^/:]+"


def drain(body: IO[bytes], limit: int = DRAIN_LIMIT) -> None:
    """Read off what is left of a refused request, up to `limit` bytes."""
    while limit > 0 and (chunk := body.read(64 * 1024)):
        limit -= len(chunk)


def read_settings(config: Mapping[str, Any] | None = None) -> tuple[Flask, BuiltModel]:
    """Make the bare application with its configuration and check the artifact; nothing is loaded yet.

    Raises:
        BuiltModelError: A setting names no artifact or no runtime, or a file of the artifact was altered.
        BearerTokenError: The token that clients have to send cannot be used.
    """
    app = Flask("flask_server", static_folder=None)
    app.config.from_mapping(
        ARTIFACT="artifacts/digits/1",
        RUNTIME="torch",
        RUNTIME_THREADS=1,
        THREADS=4,
        QUEUE=100,  # requests that wait for their turn; one more is answered with 503, as by TorchServe's job queue
        METRICS_DIR="",  # where worker processes share their counts; without it each tells its own
        BODY_TIMEOUT=30,  # seconds until a body has to be there; a slower one is answered with 408
        WSGI={},
    )
    app.config.from_prefixed_env("FLASK_SERVER")
    app.config.from_mapping(config or {})
    BearerToken.from_settings(app.config).protect(app)
    if app.config["RUNTIME"] not in RUNTIMES:
        raise BuiltModelError(f"unknown runtime {app.config['RUNTIME']!r}: choose one of {', '.join(RUNTIMES)}")
    artifact = find_model(Path(app.config["ARTIFACT"]), app.config["RUNTIME"])
    if app.config["MAX_CONTENT_LENGTH"] is None:
        app.config["MAX_CONTENT_LENGTH"] = artifact.max_request_bytes  # a larger body is answered with 413
    for name in WHOLE_NUMBERS:
        value = app.config[name]
        if not isinstance(value, int) or value < 1:
            raise BuiltModelError(f"{name} must be a whole number from 1, not {value!r}")
    return app, artifact


def error_body(error: HTTPException) -> str:
    """Return the JSON body of an answer that is an error."""
    return json.dumps({"error": error.description})


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the application and start to load its model.

    Args:
        config: Settings by their name without the prefix; they win over the environment.

    Raises:
        BuiltModelError, BearerTokenError: See `read_settings`.
    """
    app, artifact = read_settings(config)
    runtime, threads = app.config["RUNTIME"], app.config["RUNTIME_THREADS"]
    model = ServedModel(artifact, lambda: read_settings(config)[1], runtime, threads)
    app.extensions["model"] = model
    shared = app.config["METRICS_DIR"]
    metrics = app.extensions["metrics"] = Metrics(Path(shared) if shared else None)
    app.url_map.converters["model"] = ModelName

    def unknown(name: str) -> NotFound:
        return NotFound(f"no model {name!r} here, only {artifact.workload!r}")

    # A URL without a variable is found sooner than by the pattern below, which is for other names.
    @app.post(f"/v1/models/{artifact.workload}:predict")
    def predict() -> ResponseReturnValue:
        form = FORMATS.get(request.content_type or "") or chosen_format(request.mimetype)
        if form is None:
            raise UnsupportedMediaType(f"send one of these, with the header Content-Type: {', '.join(FORMATS)}")
        body = request.get_data(cache=False)
        # Werkzeug silently truncates a body of unknown length at the limit. (Granian always knows the length.)
        if len(body) >= app.config["MAX_CONTENT_LENGTH"] and request.content_length is None:
            raise RequestEntityTooLarge
        version = model.loaded(LOADING_S)  # one for the whole request
        inputs = form.read(body, request.headers.get, version.artifact.interface)
        began = perf_counter()
        outputs = version.predictor.predict(inputs)
        metrics.inference(began)
        answer = form.write(outputs)
        return Response(answer.body, headers=answer.headers, content_type=answer.content_type)

    @app.post("/v1/models/<model:name>:predict")
    def predict_unknown(name: str) -> ResponseReturnValue:
        raise unknown(name)

    @app.get("/v1/models/<model:name>")
    def status(name: str) -> ResponseReturnValue:
        if name != artifact.workload:
            raise unknown(name)
        loaded = model.loaded()
        return {
            "name": artifact.workload,
            "version": loaded.artifact.version,
            "runtime": loaded.predictor.describe(),
            "flask": version("flask"),
            "wsgi": app.config["WSGI"],
        }

    @app.get("/healthz")
    def healthz() -> ResponseReturnValue:
        model.loaded()
        return {"status": "ready"}

    @app.get("/metrics")
    def tell() -> ResponseReturnValue:
        return Response(metrics.page(), content_type=CONTENT_TYPE)

    @app.get("/openapi.json")
    def openapi() -> ResponseReturnValue:
        token: BearerToken = app.extensions["bearer_token"]
        return openapi_document(model.loaded().artifact, app.config["MAX_CONTENT_LENGTH"], token=token.asked_for)

    @app.errorhandler(InvalidRequest)
    def invalid(error: InvalidRequest) -> ResponseReturnValue:
        return {"error": str(error)}, 400

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Response:
        drain(request.environ["wsgi.input"])
        response: Response = app.make_response(error.get_response())  # keeps its headers, such as Allow
        response.data = error_body(error)
        response.content_type = "application/json"
        return response

    return app
