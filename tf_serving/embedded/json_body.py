"""What every JSON request body has in common: parsing, the signature's name, bytes as base64, error excerpts."""

import base64
import binascii
import json
import math
from typing import Any

import orjson

from tf_serving.embedded.errors import ServingError, invalid_argument

_EXCERPT = 256


def parse(body: bytes | bytearray) -> dict[str, Any]:
    """Read the request's JSON object.

    NaN, Infinity and -Infinity are numbers, as in the real server.

    Raises:
        ServingError: Not JSON, or not an object.
    """
    if not body.strip():
        raise _parse_error("The document is empty")
    document: Any
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _parse_leniently(body)
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {excerpt(document)} Is not object")
    return document


def _parse_leniently(body: bytes | bytearray) -> Any:
    try:
        document = _DECODER.decode(body.decode())
        json.dumps(document, ensure_ascii=False).encode()  # fails for half of a surrogate pair
    except json.JSONDecodeError as error:
        raise _parse_error(f"{error.msg} at offset: {error.pos}") from error
    except UnicodeDecodeError as error:
        raise _parse_error(f"Invalid encoding in string. at offset: {error.start}") from error
    except UnicodeEncodeError as error:
        raise _parse_error("The surrogate pair in string is invalid.") from error
    except RecursionError as error:
        raise _parse_error("nested too deeply") from error
    return document


def _parse_error(what: str) -> ServingError:
    return invalid_argument(f"JSON Parse error: {what}")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _parse_error("Number too big to be stored in double.")
    return number


def _int(digits: str) -> int | float:
    """Return an integer, or the nearest double where 64 bits are too few."""
    number = int(digits) if len(digits) <= 20 else _float(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


_DECODER = json.JSONDecoder(parse_float=_float, parse_int=_int)


def excerpt(value: Any) -> str:
    """Return the beginning of a JSON value, for error messages; a large value is not written out first."""
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
    """Return the signature the request names; "" when it names none.

    Raises:
        ServingError: It is not a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {excerpt(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def type_name(value: Any) -> str:
    """Return the JSON type of a parsed value, as error messages name it."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
    return names.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Return whether a JSON value is an object that stands for bytes: {"b64": "..."} and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decode_base64(value: Any) -> bytes:
    """Return the bytes of {"b64": "..."}; padding may be left out as a whole.

    Raises:
        ServingError: Another object, or not base64.
    """
    if not is_base64(value):
        raise invalid_argument(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    left_out = "" if text.endswith("=") else "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text + left_out, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument("Unable to base64 decode") from error
