"""The service's description of itself: an OpenAPI 3.1 document, made from the artifact.

OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.1; its schemas are those of JSON Schema, draft 2020-12.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from flask_server.bearer_token import OPEN
from flask_server.predict_body import FORMATS, JSON, TensorSpec
from flask_server.predictor import BuiltModel

ERRORS = {
    400: "The body, or the request, is not what is asked for; the text says what to change.",
    401: "The token is missing or is not the right one.",
    404: "There is nothing at this address.",
    405: "The address has other methods, which the header Allow names.",
    408: "The body did not arrive in time.",
    413: "The body is larger than is served.",
    415: "The body is of a type that is not served; the text lists those that are.",
    500: "A fault of the service; its log has more.",
    503: "The service is not ready, or has no room for this request now.",
}
"""Every answer that is no success, all of them of one form."""

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}


def openapi_document(artifact: BuiltModel, most_bytes: int, *, token: bool = False) -> dict[str, Any]:
    """Describe what the service takes and answers.

    Args:
        artifact: The model that it serves.
        most_bytes: How large a body may be.
        token: Whether clients have to send one.
    """
    interface, name = artifact.interface, artifact.workload
    limits = f"At most {interface.max_instances} instances and {most_bytes} bytes."
    request = _object(instances=_instances(interface.inputs, interface.max_instances))
    answer = _object(predictions=_instances(interface.outputs, interface.max_instances))
    binary: dict[str, Any] = {one: {} for one in FORMATS if one != JSON.content_type}
    model = _object(
        name={"const": name}, version=WHOLE, runtime={"type": "object"}, flask=TEXT, wsgi={"type": "object"}
    )
    document = {
        "openapi": "3.1.0",
        "info": {"title": f"{name}, served with Flask", "version": str(artifact.version)},
        "paths": {
            f"/v1/models/{name}:predict": {
                "post": {
                    "operationId": "predict",
                    "summary": "Predict",
                    "description": f"{limits} The answer comes in the form of the body, to a picture in JSON.",
                    "requestBody": {"required": True, "content": {**_json(request), **binary}},
                    "responses": _responses(
                        "A prediction for each instance.", answer, 400, 408, 413, 415, 500, 503, more=binary
                    ),
                }
            },
            f"/v1/models/{name}": _get("status", "The model, and the settings in effect.", model, 500, 503),
            "/healthz": _get("health", "Whether the model has answered.", _object(status={"const": "ready"}), 500, 503),
            "/openapi.json": _get("openapi", "This document.", {"type": "object"}, 500, 503),
        },
        "components": {"schemas": {"Error": _object(error={"type": "string", "minLength": 1})}},
    }
    return _with_token(document) if token else document


def _with_token(document: dict[str, Any]) -> dict[str, Any]:
    """Add the token, and the answer to a request without it, to every path that asks for it (RFC 6750)."""
    for path, methods in document["paths"].items():
        if path not in OPEN:
            for operation in methods.values():
                operation["responses"]["401"] = _error(401)
                operation["security"] = [{"token": []}]
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


def _get(name: str, summary: str, schema: Mapping[str, Any], *errors: int) -> dict[str, Any]:
    return {"get": {"operationId": name, "summary": summary, "responses": _responses(summary, schema, *errors)}}


def _responses(
    summary: str, schema: Mapping[str, Any], *errors: int, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "200": {"description": summary, "content": {**_json(schema), **(more or {})}},
        **{str(status): _error(status) for status in errors},
    }


def _error(status: int) -> dict[str, Any]:
    return {"description": ERRORS[status], "content": _json({"$ref": "#/components/schemas/Error"})}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {JSON.content_type: {"schema": schema}}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _instances(tensors: tuple[TensorSpec, ...], most: int) -> dict[str, Any]:
    """Bare values for one tensor, objects for several."""
    if len(tensors) == 1:
        one = _tensor(tensors[0])
    else:
        one = _object(**{spec.name: _tensor(spec) for spec in tensors}) | {"additionalProperties": False}
    return {"type": "array", "minItems": 1, "maxItems": most, "items": one}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    """One instance of a tensor: lists in lists, of the sizes of its shape."""
    schema = _value(spec)
    for size in reversed(spec.shape):
        low, high = (size, size) if size is not None else spec.lengths or (0, 0)
        schema = {"type": "array", "minItems": low, "maxItems": high, "items": schema}
    return schema


def _value(spec: TensorSpec) -> dict[str, Any]:
    kind = spec.numpy_dtype.kind
    if kind in "Ub":
        return {"type": "string" if kind == "U" else "boolean"}
    limits: Any = np.iinfo(spec.numpy_dtype) if kind in "iu" else np.finfo(spec.numpy_dtype)
    number = int if kind in "iu" else float
    low = spec.minimum if spec.minimum is not None else limits.min
    high = spec.maximum if spec.maximum is not None else limits.max
    return {"type": "integer" if kind in "iu" else "number", "minimum": number(low), "maximum": number(high)}
