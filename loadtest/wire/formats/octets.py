"""Raw little-endian octets over HTTP, behind a header that declares the type and the shape of each tensor.

The framing is that of the binary tensor data extension of the Open Inference Protocol: JSON, then the tensors' bytes.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from loadtest.servers.examples import Tensors
from loadtest.servers.expectation import Golden
from loadtest.wire.wire_format import Message, Wire

DATATYPES = {"BOOL": "|b1", "UINT8": "|u1", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8"}
"""NumPy's name of each; beside them ``BYTES`` is text, each element behind its length in four bytes."""

LENGTH_BYTES = 4

ALIGNED = 8
"""The first tensor lies at a multiple of so many bytes: a server can then compute with the body as it came in."""


class Octets:
    """The tensors one after the other."""

    def request(self, inputs: Tensors) -> Message:
        """See `loadtest.wire.wire_format.WireFormat`."""
        declared, contents = [], []
        for name, array in inputs.items():
            datatype, content = _encoded(array)
            size = {"binary_data_size": len(content)}
            declared.append({"name": name, "shape": list(array.shape), "datatype": datatype, "parameters": size})
            contents.append(content)
        header = orjson.dumps({"inputs": declared, "parameters": {"binary_data_output": True}})
        header += b" " * (-len(header) % ALIGNED)
        return Message(
            header + b"".join(contents),
            {
                "content-type": "application/octet-stream",
                "inference-header-content-length": str(len(header)),
                "accept": "*/*",
            },
        )

    def difference(self, golden: Golden, payload: int, body: bytes) -> float:
        """See `loadtest.wire.wire_format.WireFormat`."""
        return golden.column_distance(payload, _outputs(body))


def _encoded(array: npt.NDArray[Any]) -> tuple[str, bytes]:
    if array.dtype.kind == "U":
        texts = [text.encode() for text in array.ravel().tolist()]
        return "BYTES", b"".join(len(text).to_bytes(LENGTH_BYTES, "little") + text for text in texts)
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return next(name for name, dtype in DATATYPES.items() if dtype == little.dtype.str), little.tobytes()


def _outputs(body: bytes) -> Tensors:
    """The tensors of an answer; its header ends where its JSON does, so that the answer's own fields are not needed.

    Raises:
        ValueError: If the body is no such answer.
    """
    try:
        # Each byte one character, so that the end in the text is the end in the bytes.
        header, at = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        outputs = {}
        for one in header["outputs"]:
            size = int(one["parameters"]["binary_data_size"])
            content = body[at : at + size]
            at += size
            if len(content) != size:
                raise ValueError("the answer was cut short")
            outputs[str(one["name"])] = _decoded(str(one["datatype"]), content).reshape(one["shape"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not what the protocol says: {error!r}") from error
    return outputs


def _decoded(datatype: str, content: bytes) -> npt.NDArray[Any]:
    if datatype != "BYTES":
        return np.frombuffer(content, DATATYPES[datatype])
    texts = []
    while content:
        size = int.from_bytes(content[:LENGTH_BYTES], "little")
        texts.append(content[LENGTH_BYTES : LENGTH_BYTES + size].decode())
        content = content[LENGTH_BYTES + size :]
    return np.array(texts, np.str_)


WIRE = Wire("raw octets over HTTP, with declared type and shape", lambda model, path: Octets())
