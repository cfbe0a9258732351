"""The wire formats of a predict call: the body of a request to arrays, and arrays to the body of an answer.

A request chooses its form by its Content-Type; the answer comes in the same form, to a picture as JSON.

    application/json            rows: {"instances": [...]} -> {"predictions": [...]}
    application/x-npy           NumPy's .npy, for a model of one input
    application/x-npz           NumPy's .npz, arrays by the names of the inputs
    application/octet-stream    octets with declared types and shapes, framed as in the Open Inference Protocol
    image/png, image/jpeg       one encoded picture, for a model whose input is one -> JSON

Flask and TorchServe ask the same of a client, so this package serves both: Flask imports it, and `models/mar.py` puts
it into the .mar beside TorchServe's handler. It therefore needs NumPy, orjson and Pillow and nothing else, and its
modules import each other relatively: there it is no part of `flask_server`.
"""

from .body_format import Answer, BodyFormat, Headers
from .interface import Interface, InvalidRequest, Tensors, TensorSpec
from .json_rows import JSON, encode_predictions, parse_instances
from .npy import NPY, NPZ
from .octets import OCTETS
from .pictures import JPEG, PNG

FORMATS = {one.content_type: one for one in (JSON, NPY, NPZ, OCTETS, PNG, JPEG)}
"""Every form of a body, by its Content-Type."""

__all__ = [
    "FORMATS",
    "JPEG",
    "JSON",
    "NPY",
    "NPZ",
    "OCTETS",
    "PNG",
    "Answer",
    "BodyFormat",
    "Headers",
    "Interface",
    "InvalidRequest",
    "TensorSpec",
    "Tensors",
    "chosen_format",
    "encode_predictions",
    "parse_instances",
    "recognised_format",
]


def chosen_format(mimetype: str) -> BodyFormat | None:
    """Return the form that a Content-Type names, in lower case and without its parameters; None where it names none."""
    if mimetype.startswith("application/") and mimetype.endswith("+json"):
        return JSON
    return FORMATS.get(mimetype)


def recognised_format(body: object) -> BodyFormat | None:
    """Return the form that the first bytes of a body tell, for want of a Content-Type; None where they tell none."""
    if not isinstance(body, bytes | bytearray):
        return None
    return next((one for one in FORMATS.values() if one.magic and body.startswith(one.magic)), None)
