"""Raw octets of the tensors behind a JSON that declares their names, types and shapes.

The framing, the datatypes and the header are those of the binary tensor data extension of the Open Inference Protocol
(KServe v2): https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md

It is not the whole protocol. It stands at the URL of this service, with the errors of this service. Every input comes
as octets, none as `data` in the JSON; every output is answered, as octets. The request's `id`, `parameters` and
`outputs` are not looked at, and the answer has neither `id` nor `model_name`.
"""

import math
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from .binary import Buffer, check_shape, checked, view
from .body_format import Answer, BodyFormat, Headers
from .interface import Interface, InvalidRequest, Tensors, TensorSpec, check_finite, listed, wrong_names

LENGTH = "Inference-Header-Content-Length"
"""The header, of a request and of an answer, that says how many bytes of the body are the JSON."""

MOST_JSON = 64 * 1024
"""Largest JSON, in bytes: parsed, it takes many times its size."""

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
    "float32": "FP32",
    "float64": "FP64",
    "string": "BYTES",
}
"""The protocol's names of the types of elements, by those of the model's interface."""

_COUNT = struct.Struct("<I")
# Before each element of BYTES stands how many bytes it has.


def read_octets(body: Buffer, length: str | None, interface: Interface) -> Tensors:
    """Read the inputs; numbers are views of the body wherever the frameworks can use one.

    Args:
        body: The JSON, then the octets of the tensors in the JSON's order.
        length: The value of the header `LENGTH`.
        interface: What the model takes.

    Raises:
        InvalidRequest: The JSON is none or declares anything but the inputs of the model, or the octets are not those
            that it declares.
    """
    octets = memoryview(body)
    start = _json_length(length, len(octets))
    entries = _entries(bytes(octets[:start]))
    specs = {spec.name: spec for spec in interface.inputs}
    names = [entry["name"] for entry in entries]
    if sorted(names) != sorted(specs):
        raise wrong_names(names, specs, "the JSON")
    octets = octets[start:]
    sizes = [_declared_size(entry) for entry in entries]
    if sum(sizes) != len(octets):
        raise InvalidRequest(f"behind the JSON are {len(octets)} bytes, the tensors that it declares take {sum(sizes)}")
    columns = {}
    for entry, size in zip(entries, sizes, strict=True):
        spec = specs[entry["name"]]
        columns[spec.name] = _tensor(octets[:size], entry, spec, interface)
        octets = octets[size:]
    return checked(columns, interface)


def write_octets(outputs: Tensors) -> Answer:
    """Write the answer, framed as the request is.

    Args:
        outputs: An array (n, *shape) for each output.

    Raises:
        InvalidRequest: An output is NaN or infinite.
    """
    check_finite(outputs)
    entries, parts = [], []
    for name, array in outputs.items():
        text = array.dtype.kind == "U"
        parts.append(_pack_text(array) if text else array.tobytes())
        datatype = DATATYPES["string" if text else array.dtype.name]
        size = {"binary_data_size": len(parts[-1])}
        entries.append({"name": name, "shape": array.shape, "datatype": datatype, "parameters": size})
    declared = orjson.dumps({"outputs": entries})
    return Answer(b"".join([declared, *parts]), OCTETS.content_type, {LENGTH: str(len(declared))})


def _json_length(length: str | None, body_length: int) -> int:
    """Return how many bytes of the body are JSON."""
    if length is None:
        raise InvalidRequest(f"send the header {LENGTH}: how many bytes of the body are JSON, before the tensors")
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise InvalidRequest(f"{LENGTH} must be a number of bytes, not {length[:20]!r}")
    size = int(length)
    if size > body_length:
        raise InvalidRequest(f"{LENGTH} is {size}, but the body has {body_length} bytes")
    if size > MOST_JSON:
        raise InvalidRequest(f"{LENGTH} is {size}; the limit is {MOST_JSON}")
    return size


def _entries(text: bytes) -> list[dict[str, Any]]:
    """Return what the JSON says of each input."""
    try:
        declared = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the first {len(text)} bytes are not valid JSON: {error}") from None
    entries = declared.get("inputs") if isinstance(declared, dict) else None
    if not isinstance(entries, list):
        raise InvalidRequest('the JSON must be an object with a list "inputs"')
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise InvalidRequest(f'inputs[{index}] must be an object with a "name"')
    return entries


def _declared_size(entry: dict[str, Any]) -> int:
    """Return how many bytes a tensor has behind the JSON."""
    parameters = entry.get("parameters")
    size: Any = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if not _is_size(size):
        raise InvalidRequest(f"{entry['name']} needs parameters.binary_data_size: its bytes behind the JSON")
    return int(size)


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63  # a boolean is an int too


def _tensor(octets: memoryview, entry: dict[str, Any], spec: TensorSpec, interface: Interface) -> npt.NDArray[Any]:
    """Read the octets of one tensor."""
    datatype, shape = entry.get("datatype"), entry.get("shape")
    if datatype != DATATYPES[spec.dtype]:
        if datatype not in DATATYPES.values():
            raise InvalidRequest(f"{spec.name} has a datatype that is none of {listed(DATATYPES.values())}")
        raise InvalidRequest(f"{spec.name} must be {DATATYPES[spec.dtype]}, not {datatype}")
    if not isinstance(shape, list) or not all(map(_is_size, shape)):
        raise InvalidRequest(f'{spec.name} needs a "shape": a list of whole numbers from 0')
    check_shape(tuple(shape), spec, interface)
    if spec.dtype == "string":
        return _unpack_text(octets, shape, spec, interface)
    return view(octets, 0, spec.numpy_dtype, tuple(shape), spec.name, datatype)


def _unpack_text(octets: memoryview, shape: list[int], spec: TensorSpec, interface: Interface) -> npt.NDArray[Any]:
    """Read the elements of BYTES, which are UTF-8 here."""
    texts, at = [], 0
    for _ in range(math.prod(shape)):
        start = at + _COUNT.size
        at = start + _COUNT.unpack(octets[at:start])[0] if start <= len(octets) else start
        if at > len(octets):
            raise InvalidRequest(f"{spec.name} ends within an element; before each stand 4 bytes that are its length")
        try:
            texts.append(str(octets[start:at], "utf-8"))
        except UnicodeDecodeError:
            raise InvalidRequest(f"{spec.name} holds text that is not UTF-8") from None
    if at != len(octets):
        raise InvalidRequest(f"{spec.name} has {len(octets) - at} bytes behind its {len(texts)} elements")
    # NumPy gives each text the room of the longest, 4 bytes for a character.
    takes = 4 * len(texts) * max(map(len, texts), default=0)
    if takes > interface.most_bytes:
        raise InvalidRequest(f"{spec.name} takes {takes} bytes in memory; the limit is {interface.most_bytes}")
    return np.array(texts, np.str_).reshape(shape)


def _pack_text(array: npt.NDArray[Any]) -> bytes:
    """Write text as the elements of BYTES."""
    texts = [text.encode() for text in array.ravel().tolist()]
    return b"".join(part for text in texts for part in (_COUNT.pack(len(text)), text))


def _read(body: Buffer, headers: Headers, interface: Interface) -> Tensors:
    return read_octets(body, headers(LENGTH), interface)


OCTETS = BodyFormat("application/octet-stream", _read, write_octets)
