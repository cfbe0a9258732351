"""NumPy files that lie: for the servers that take them, over HTTP or inside of a gRPC message."""

import io
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from loadtest.resilience.hostile.asked import Asked

MAGIC = b"\x93NUMPY"


def npy_files(asked: Asked) -> Iterator[tuple[str, bytes, str]]:
    """Names, contents and, where one may be answered, why."""
    array = next(iter(asked.tensors.values()))
    descr, shape, raw = array.dtype.str, array.shape, array.tobytes()
    right = _npy(descr, shape, raw)

    yield "empty", b"", ""
    yield "only its magic", MAGIC, ""
    yield "a wrong magic", b"\x93NUMPX" + right[6:], ""
    yield "version 9.9", MAGIC + b"\x09\x09" + right[8:], ""
    yield "cut within the header", right[:40], ""
    yield "cut in half", right[: len(right) // 2], ""
    yield "a header of 4 GB", MAGIC + b"\x03\x00\xff\xff\xff\xff{", ""
    yield "a header that is a program", _header(b"__import__('os').system('true')") + raw, ""
    yield "a header that is a sum", _header(b"{'descr':'<f4','fortran_order':False,'shape':(1+1,)}") + raw, ""
    yield "a header nested a thousand deep", _header(b"(" * 1000 + b")" * 1000) + raw, ""
    yield "a header of a million brackets", _header(b"[" * 1_000_000, 3) + raw, ""
    yield "a header without a shape", _header(b"{'descr':'<f4','fortran_order':False}") + raw, ""
    yield "a header with a key too many", _header(b"{'descr':'<f4','fortran_order':False,'shape':(1,),'x':1}") + raw, ""
    yield "one byte missing", right[:-1], ""
    yield "one byte too many", right + b"x", ""
    for name, sizes in (
        ("no instance", (0, *shape[1:])),
        ("a negative dimension", (-1, *shape[1:])),
        ("two negative dimensions", (-1, -1, *shape[1:])),
        ("a dimension of 2**31", (2**31, *shape[1:])),
        ("a dimension of 2**62", (2**62, *shape[1:])),
        ("a dimension of 10**30", (10**30, *shape[1:])),
        ("dimensions whose product overflows", (2**32, 2**32, *shape[1:])),
        ("a huge dimension beside one of 0", (2**40, 0)),
        ("two instances declared, one there", (2, *shape[1:])),
        ("a dimension too many", (1, *shape)),
        ("a dimension too few", shape[1:]),
        ("no dimension", ()),
        ("100 dimensions", (1,) * 100),
    ):
        yield f"shape: {name}", _npy(descr, sizes, raw), ""
    yield "shape: of text", _header(b"{'descr':'<f4','fortran_order':False,'shape':('a',)}") + raw, ""
    yield "shape: true", _header(b"{'descr':'<f4','fortran_order':False,'shape':(True,)}") + raw, ""
    for name, other in (
        ("Python objects, pickled", "|O"),
        ("big-endian", ">f4"),
        ("complex", "<c8"),
        ("text", "<U4"),
        ("bytes", "|S4"),
        ("dates", "<M8[s]"),
        ("raw bytes", "|V4"),
        ("half floats", "<f2"),
        ("of 2**31 bytes each", "|V2147483647"),
        ("unknown", "<q9"),
        ("booleans", "|b1"),
    ):
        content = _PICKLE if other == "|O" else raw
        yield f"type: {name}", _npy(other, shape, content), ""
    fields = _header(b"{'descr':[('a','<f4'),('b','<f4')],'fortran_order':False,'shape':(1,)}")
    yield "type: of two fields", fields + raw[:8], ""
    if array.dtype.kind == "f":
        for value in (np.nan, np.inf, -np.inf):
            yield f"values: {value}", _npy(descr, shape, np.full_like(array, value).tobytes()), ""
    if array.dtype.kind == "i":
        for limit in (np.iinfo(array.dtype).min, np.iinfo(array.dtype).max):
            yield f"values: {limit}", _npy(descr, shape, np.full_like(array, limit).tobytes()), ""
    if array.ndim > 1 and len(asked.inputs) == 1:
        other_order = io.BytesIO()
        np.save(other_order, np.asfortranarray(array))
        yield "Fortran's order", other_order.getvalue(), "np.save writes it (NumPy's format, version 1.0)"
    yield "an empty zip file", b"PK\x05\x06" + bytes(18), ""
    yield "a zip file cut short", b"PK\x03\x04" + bytes(20), ""
    yield "a pickle", _PICKLE, ""


class _Opens:
    """Would open a file if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("/dev/null",))


_PICKLE = pickle.dumps(_Opens())


def _npy(descr: str, shape: tuple[int, ...], content: bytes) -> bytes:
    return _header(str({"descr": descr, "fortran_order": False, "shape": shape}).encode()) + content


def _header(text: bytes, version: int = 1) -> bytes:
    text += b"\n"
    return MAGIC + bytes((version, 0)) + len(text).to_bytes(2 if version == 1 else 4, "little") + text
