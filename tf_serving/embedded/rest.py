"""The REST API: one request in, one response out, in a worker thread. `http_app` carries it over HTTP."""

import dataclasses
import json
import logging
import re
import time
from typing import Any
from urllib.parse import unquote

import orjson
from google.protobuf import json_format

from tf_serving.embedded import json_body, json_predict
from tf_serving.embedded.core import Core, ModelSpec
from tf_serving.embedded.errors import Code, ServingError, invalid_argument
from tf_serving.embedded.metrics import micros_since
from tf_serving.embedded.servable import DEFAULT_SIGNATURE

log = logging.getLogger(__name__)

_MODEL = r"(?:/versions/0*(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_CALL = re.compile(rf"/v1/models/(?P<name>[^/:]+){_MODEL}:(?P<method>classify|regress|predict)")
_INFO = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_MODEL}(?:/(?P<what>metadata))?")
_NONE = re.compile(r"(?!)")  # matches nothing: other methods are not allowed

JSON = "application/json"


@dataclasses.dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    body: bytes | bytearray
    content_type: str = JSON


def error_response(status: int, message: str) -> Response:
    """Return the body that every error has: {"error": message}."""
    return Response(status, orjson.dumps({"error": message.encode("utf-8", "replace").decode()}))


class RestApi:
    """TensorFlow Serving's REST API over a `Core`; `handle` may be called from any number of threads."""

    def __init__(self, core: Core, timeout_ms: int, metrics_path: str | None) -> None:
        self._core = core
        self._timeout_ms = max(0, timeout_ms)
        self._metrics_path = metrics_path

    def handle(self, method: str, path: str, query: str, body: bytes | bytearray) -> Response:
        """Answer one request.

        Args:
            method: Such as "POST".
            path: As on the wire, still percent-encoded.
            query: What stood after the question mark; the API has none, and refuses it.
            body: The whole body, uncompressed.
        """
        start = time.perf_counter()
        if path == self._metrics_path:
            return Response(200, self._core.metrics.page().encode(), "text/plain")
        if not path.startswith("/v1/"):
            return error_response(404, f"Not found: {path}")
        name = call = ""
        try:
            target = f"{path}?{query}" if query else path
            match = {"POST": _CALL, "GET": _INFO}.get(method, _NONE).fullmatch(target)
            if match is None:
                raise invalid_argument(f"Malformed request: {method} {target}")
            spec = _model_spec(match)
            name, call = spec.name, match["method"] if method == "POST" else ""
            if call in ("classify", "regress"):
                raise ServingError(Code.UNIMPLEMENTED, f"{call} is not available in the embedded server, only predict")
            response = Response(200, self._predict(spec, body) if call else self._info(spec, match["what"]))
        except ServingError as error:
            self._core.metrics.requests.increment(name, error.code.name)
            return error_response(error.http_status, error.message)
        except Exception:  # a fault of this server; the traceback goes to the log
            log.exception("%s %s failed", method, path)
            self._core.metrics.requests.increment(name, Code.INTERNAL.name)
            return error_response(500, "internal error; the server's log has more")
        self._core.metrics.requests.increment(name, Code.OK.name)
        self._core.metrics.request_latency.observe(micros_since(start), name, call, "REST")
        return response

    def _predict(self, spec: ModelSpec, body: bytes | bytearray) -> bytes:
        document = json_body.parse(body)
        signature_name = json_body.signature_name(document)
        with self._core.acquire(spec) as servable:
            signature = servable.find_signature(signature_name)
            if signature is None:
                name = signature_name or DEFAULT_SIGNATURE
                raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
            if not signature.inputs:
                raise invalid_argument(f"Failed to get input map for signature: {signature_name or 'DEFAULT'}")
            inputs, by_row = json_predict.read(document, signature, body)
            document.clear()  # may be gigabytes of objects, memory that the model needs
            inputs = signature.complete(inputs)
            outputs = self._core.run(servable, signature, inputs, self._timeout_ms)
        return json_predict.write(outputs, by_row)

    def _info(self, spec: ModelSpec, what: str | None) -> bytes:
        if not spec.name:
            raise invalid_argument("Missing model name in request.")
        if what is None:
            return _dump(_as_json(self._core.status(spec)))
        found, signatures = self._core.metadata(spec)
        return _dump({"model_spec": _as_json(found), "metadata": {"signature_def": _as_json(signatures)}})


def _model_spec(match: re.Match[str]) -> ModelSpec:
    version = match["version"]
    if version is not None and (len(version) > 19 or int(version) >= 2**63):
        raise invalid_argument(f"Failed to convert version: {version} to numeric.")
    return ModelSpec(
        name=unquote(match["name"] or ""),
        version=None if version is None else int(version),
        label=unquote(match["label"] or ""),
    )


def _as_json(message: Any) -> Any:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
