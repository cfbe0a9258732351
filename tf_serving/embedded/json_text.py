"""Answers as text, digit for digit and space for space as the real server's writer (RapidJSON's) prints them.

A float has six significant digits if these give the same float back, else nine (a double seventeen). Indentation is
four spaces; the values of one instance stand on one line.
"""

import array
import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from tf_serving.embedded.errors import invalid_argument

_INTEGERS = {"int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"}
_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def member(key: str, value: str, depth: int = 1) -> str:
    """One member of an object; `depth` counts the objects and lists around it."""
    return f"\n{'    ' * depth}{string(key)}: {value}"


def document(key: str, value: str) -> bytes:
    """A whole answer: an object of one member."""
    return f"{{{member(key, value)}\n}}".encode("utf-8", "surrogateescape")


def string(text: str) -> str:
    """A quoted string; surrogates that stand for bytes which are not UTF-8 become those bytes again in `document`."""
    return json.dumps(text, ensure_ascii=False)


def decimals(values: Sequence[float], double: bool = False) -> list[str]:
    """The text of floats, which are float32 unless `double`."""
    short = [f"{value:.6g}" for value in values]
    back = array.array("d" if double else "f", map(float, short))
    form = ".17g" if double else ".9g"
    texts = [
        text if value == found else format(value, form) for text, value, found in zip(short, values, back, strict=True)
    ]
    return [text if "." in text or "e" in text else _SPECIAL.get(text) or f"{text}.0" for text in texts]


def leaves(alias: str, values: npt.NDArray[Any], depth: int) -> list[str]:
    """The text of every value of an array, in order; bytes where the name ends in _bytes, as base64.

    Raises:
        ServingError: JSON has no form for the type.
    """
    flat = values.ravel().tolist()
    name = values.dtype.name
    if name in ("float32", "float64"):
        return decimals(flat, double=name == "float64")
    if name in _INTEGERS:
        return list(map(str, flat))
    if name == "bool":
        return ["true" if value else "false" for value in flat]
    if name != "object":
        raise invalid_argument(f"Failed to write JSON value for tensor type: {values.dtype}")
    if alias.endswith("_bytes"):
        end = "\n" + "    " * depth + "}"
        return ["{" + member("b64", string(base64.b64encode(raw).decode()), depth + 1) + end for raw in flat]
    return [string(raw.decode("utf-8", "surrogateescape")) for raw in flat]


def nested(texts: list[str], shape: Sequence[int], depth: int | None = None) -> str:
    """Nested lists of these texts: on one line, or with a line for each where the `depth` is given."""
    if not shape:
        return texts[0]
    if len(shape) > 1:
        size = math.prod(shape[1:])
        inner = None if depth is None else depth + 1
        texts = [nested(texts[row * size : (row + 1) * size], shape[1:], inner) for row in range(shape[0])]
    if not texts:
        return "[]"
    if depth is None:
        return f"[{', '.join(texts)}]"
    line = "\n" + "    " * (depth + 1)
    return f"[{line}{f',{line}'.join(texts)}\n{'    ' * depth}]"


def rows(texts: list[str]) -> str:
    """A list of instances: one line, but for the bracket at its end."""
    return f"[{', '.join(texts)}\n    ]" if texts else "[]"
