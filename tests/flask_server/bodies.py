"""Interfaces of made-up models, and bodies in the binary forms, written without the code under test."""

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from flask_server.predict_body import Interface, TensorSpec

DATATYPES = {"bool": "BOOL", "uint8": "UINT8", "int32": "INT32", "int64": "INT64", "float32": "FP32", "float64": "FP64"}


def tensor(name: str, dtype: str, *shape: int | None, **more: Any) -> TensorSpec:
    """One input, described as workload.json does."""
    others = {"lengths": None, "padding": 0, "minimum": None, "maximum": None}
    return TensorSpec.read({"name": name, "dtype": dtype, "shape": list(shape), **others, **more})


def interface(*inputs: TensorSpec, max_instances: int = 4) -> Interface:
    """What a model of these inputs takes."""
    return Interface(inputs, (), max_instances, max_request_bytes=100_000)


IMAGES = interface(tensor("image", "float32", 2, 3))
SENTENCES = interface(
    tensor("ids", "int32", None, lengths=[2, 5], minimum=0, maximum=99),
    tensor("mask", "uint8", None, lengths=[2, 5], maximum=1),
    tensor("loud", "bool"),
    tensor("author", "string"),
)


def images(count: int = 1) -> npt.NDArray[np.float32]:
    """Images, each pixel another number."""
    return np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)


def sentences(**changes: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Two sentences of three words, or what they are changed into."""
    tensors: dict[str, npt.NDArray[Any]] = {
        "ids": np.array([[1, 2, 3], [97, 98, 99]], np.int32),
        "mask": np.array([[1, 1, 0], [1, 0, 0]], np.uint8),
        "loud": np.array([False, True]),
        "author": np.array(["Ann", "Bob, ü"]),
    }
    return tensors | changes


def npy(array: npt.NDArray[Any]) -> bytes:
    """What `np.save` writes, pickling whatever it cannot write otherwise."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npz(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """What `np.savez` writes."""
    file = io.BytesIO()
    np.savez(file, **dict(tensors))  # type: ignore[arg-type]  # its other argument is none of these names
    return file.getvalue()


def npz_of(members: Mapping[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file of any content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def entry(name: str, array: npt.NDArray[Any], octets: bytes) -> dict[str, Any]:
    """What the JSON of raw octets declares of a tensor."""
    datatype = "BYTES" if array.dtype.kind == "U" else DATATYPES[array.dtype.name]
    size = {"binary_data_size": len(octets)}
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "parameters": size}


def octets_of(array: npt.NDArray[Any]) -> bytes:
    """The octets of a tensor: of text, each with its length before it."""
    if array.dtype.kind != "U":
        return array.tobytes()
    texts = [text.encode() for text in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def framed(declared: object, *octets: bytes) -> tuple[bytes, str]:
    """A body of JSON and octets, and how long the JSON is."""
    text = declared if isinstance(declared, bytes) else json.dumps(declared).encode()
    return b"".join([text, *octets]), str(len(text))


def octets(tensors: Mapping[str, npt.NDArray[Any]]) -> tuple[bytes, str]:
    """A body of raw octets, and how long its JSON is."""
    parts = {name: octets_of(array) for name, array in tensors.items()}
    return framed({"inputs": [entry(name, array, parts[name]) for name, array in tensors.items()]}, *parts.values())
