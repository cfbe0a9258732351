"""What every JSON request body has in common: parsing, the signature's name, bytes as base64, error excerpts."""

import base64
import binascii
import json
from typing import Any

import orjson

from tf_serving.embedded.errors import invalid_argument

_EXCERPT = 256


def parse(body: bytes) -> dict[str, Any]:
    """The request's JSON object.

    NaN, Infinity and -Infinity are numbers, and anything after the object is ignored, as in the real server.

    Raises:
        ServingError: not JSON, or not an object.
    """
    if not body.strip():
        raise invalid_argument("JSON Parse error: The document is empty")
    document: Any
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _parse_leniently(body)
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {excerpt(document)} Is not object")
    return document


def _parse_leniently(body: bytes) -> Any:
    try:
        text = body.decode()
        return json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))[0]
    except json.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except UnicodeDecodeError as error:
        message = f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        raise invalid_argument(message) from error
    except (RecursionError, ValueError) as error:  # ValueError: an integer of thousands of digits
        raise invalid_argument("JSON Parse error: nested too deeply, or a number too long") from error


def excerpt(value: Any) -> str:
    """The beginning of a JSON value, for error messages; a large value is not written out first."""
    text = ""
    try:
        for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
            text += piece
            if len(text) >= _EXCERPT:
                break
    except RecursionError:
        text += "..."
    return text[:_EXCERPT]


def signature_name(document: dict[str, Any]) -> str:
    """The signature the request names; "" when it names none.

    Raises:
        ServingError: it is not a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {excerpt(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def type_name(value: Any) -> str:
    """The JSON type of a parsed value, as error messages name it."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
    return names.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Whether a JSON value is an object that stands for bytes: {"b64": "..."} and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decode_base64(value: Any) -> bytes:
    """The bytes of {"b64": "..."}; padding may be left out.

    Raises:
        ServingError: another object, or not base64.
    """
    if not is_base64(value):
        raise invalid_argument(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument("Unable to base64 decode") from error
