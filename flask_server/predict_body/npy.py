"""NumPy's own files: an .npy for one tensor, an .npz for several, the names of its members those of the tensors.

The request is what `np.save` or `np.savez` writes, never unpickled. The answer is an .npy where the model has one
output, an .npz where it has several.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import struct
import zipfile
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from .binary import Buffer, check_shape, checked, view
from .body_format import Answer, BodyFormat, Headers
from .interface import Interface, InvalidRequest, Tensors, TensorSpec, check_finite, listed, wrong_names

MAGIC = b"\x93NUMPY"
LOCAL_FILE = b"PK\x03\x04"
"""How a zip file starts that is not empty: with the header of its first member."""

MOST_HEADER = 1024
"""Largest header of an array, in bytes; NumPy writes 128."""

MOST_ENTRY = 1024
"""Largest entry of a member in the directory of an .npz, in bytes; NumPy writes 46 and the name."""

PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How `np.savez` and `np.savez_compressed` store a member."""

_LENGTHS = {b"\x01\x00": struct.Struct("<H"), b"\x02\x00": struct.Struct("<I"), b"\x03\x00": struct.Struct("<I")}
# By the version of the format: how the length of the header is written, after the magic and the version.
_END = struct.Struct("<4s4H2IH")
# The end of a zip file that has no comment.


class Header(NamedTuple):
    """What stands before the elements of an array: their type, the shape, and in which order they lie."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]


def read_array(buffer: Buffer, spec: TensorSpec, interface: Interface, what: str) -> npt.NDArray[Any]:
    """Read the .npy of one input: a view of the buffer, unless the array is in Fortran's order.

    Args:
        buffer: The file.
        spec: The input.
        interface: Says how many instances there may be.
        what: What errors call the file.

    Raises:
        InvalidRequest: It is none, or its header is not that of such an input, or its length not what that declares.
    """
    start = _header_end(buffer, what)
    try:
        header = _parse_header(bytes(buffer[:start]))
    except Exception:  # whatever NumPy's reader, or the parser of Python that it uses, raises on nonsense
        raise InvalidRequest(f"{what} has a header that is not NumPy's: write the array with np.save") from None
    _check_dtype(header.dtype, spec)
    check_shape(header.shape, spec, interface)
    return view(buffer, start, header.dtype, header.shape, what, spec.dtype, header.order)


def write_array(array: npt.NDArray[Any]) -> bytes:
    """Write an .npy, as `np.save` does."""
    return _format_header(array.dtype.str, array.shape) + array.tobytes()


def read_archive(body: Buffer, interface: Interface) -> Tensors:
    """Read the .npz of all inputs; nothing is unpacked before its declared size is known to be one that is served.

    Raises:
        InvalidRequest: It is none, or has members beyond the inputs, or an array is not that of its input.
    """
    _check_directory(body, len(interface.inputs))
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            _check_members(members, interface)
            # No more than was declared: the whole of a member that declares too little could be anything.
            files = {one.filename: archive.open(one).read(one.file_size) for one in members}
    except InvalidRequest:
        raise
    except Exception as error:  # zipfile raises seven kinds on nonsense
        raise InvalidRequest(f"the body is a damaged .npz: {str(error) or type(error).__name__}") from None
    columns = {}
    for spec in interface.inputs:
        name = f"{spec.name}.npy"
        columns[spec.name] = read_array(files[name], spec, interface, name)
    return columns


def write_archive(arrays: Tensors) -> bytes:
    """Write an .npz, as `np.savez` does."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), write_array(array))
    return packed.getvalue()


def _header_end(buffer: Buffer, what: str) -> int:
    """Return where the elements begin."""
    if buffer[:6] != MAGIC:
        raise InvalidRequest(f"{what} is not an .npy: it does not start with \\x93NUMPY; write it with np.save")
    length = _LENGTHS.get(bytes(buffer[6:8]))
    if length is None:
        raise InvalidRequest(f"{what} is an .npy of a version that is none of 1.0, 2.0 and 3.0")
    start = 8 + length.size
    if len(buffer) < start:
        raise InvalidRequest(f"{what} ends within the header of the .npy")
    (size,) = length.unpack(buffer[8:start])
    if size > MOST_HEADER:
        raise InvalidRequest(f"{what} has a header of {size} bytes; the limit is {MOST_HEADER}")
    if len(buffer) < start + size:
        raise InvalidRequest(f"{what} ends within the header of the .npy")
    return int(start + size)


@lru_cache(maxsize=256)
def _parse_header(head: bytes) -> Header:
    """Parse magic, version and header; a client sends few different ones."""
    file = io.BytesIO(head)
    # NumPy has no public reader of 3.0, which is 2.0 with names of fields in UTF-8; arrays with fields are refused.
    read = npy_format.read_array_header_2_0
    if npy_format.read_magic(file) == (1, 0):
        read = npy_format.read_array_header_1_0
    shape, fortran, dtype = read(file)
    if any(type(size) is not int or size < 0 for size in shape):
        raise ValueError("no shape")
    return Header(dtype, shape, "F" if fortran else "C")


@lru_cache(maxsize=256)
def _format_header(descr: str, shape: tuple[int, ...]) -> bytes:
    """Write magic, version and header of an array in C's order."""
    file = io.BytesIO()
    npy_format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def _check_dtype(dtype: np.dtype[Any], spec: TensorSpec) -> None:
    """Check that the elements are of the type of the input, in the order of bytes that every server here has."""
    if dtype.hasobject:
        raise InvalidRequest(f"{spec.name} holds Python objects, which are never unpickled: send {spec.dtype}")
    little = dtype.newbyteorder("<")
    if dtype.kind == "U" if spec.dtype == "string" else little == spec.numpy_dtype:
        if dtype == little:
            return
        raise InvalidRequest(f"{spec.name} is big-endian ({dtype.str}): convert it with .astype({little.str!r})")
    wanted = "text (a NumPy array of str)" if spec.dtype == "string" else spec.dtype
    raise InvalidRequest(f"{spec.name} must be {wanted}, not {dtype.name}")


def _check_directory(body: Buffer, inputs: int) -> None:
    """Check the size of the zip file's directory, of which `zipfile` would read as much as there is."""
    if body[:4] != LOCAL_FILE:
        raise InvalidRequest("the body is not an .npz: it does not start with PK\\x03\\x04; write it with np.savez")
    if len(body) < _END.size:
        raise InvalidRequest("the body is a damaged .npz: it ends too early")
    mark, *_, members, size, _, comment = _END.unpack(body[-_END.size :])
    if mark != b"PK\x05\x06" or comment:
        raise InvalidRequest("the body is a damaged .npz: it does not end as a zip file does")
    # What stands there in a zip file beyond 4 GiB names another directory.
    if body[-_END.size - 20 :][:4] == b"PK\x06\x07" or size > inputs * MOST_ENTRY:
        raise InvalidRequest(f"the .npz has too large a directory, of {members} members for {inputs} inputs")


def _check_members(members: list[zipfile.ZipInfo], interface: Interface) -> None:
    """Check what the directory of the zip file says of its members."""
    names = [member.filename for member in members]
    wanted = [f"{spec.name}.npy" for spec in interface.inputs]
    if sorted(names) != sorted(wanted):
        raise wrong_names(names, wanted, "the .npz")
    odd = [one.filename for one in members if one.flag_bits & 0x1 or one.compress_type not in PLAIN]
    if odd:
        raise InvalidRequest(f"the .npz holds {listed(odd)} encrypted or packed otherwise than np.savez does")
    size, most = sum(one.file_size for one in members), interface.most_bytes + len(wanted) * (MOST_HEADER + 12)
    if size > most:
        raise InvalidRequest(f"the .npz unpacks to {size} bytes; the limit is {most}")


def _read_npy(body: Buffer, headers: Headers, interface: Interface) -> Tensors:
    if len(interface.inputs) > 1:
        names = listed(spec.name for spec in interface.inputs)
        raise InvalidRequest(f"the model has the inputs {names}: send an .npz of them, as {NPZ.content_type}")
    (only,) = interface.inputs
    return checked({only.name: read_array(body, only, interface, "the body")}, interface)


def _read_npz(body: Buffer, headers: Headers, interface: Interface) -> Tensors:
    return checked(read_archive(body, interface), interface)


def _write(outputs: Tensors) -> Answer:
    check_finite(outputs)
    if len(outputs) == 1:
        return Answer(write_array(*outputs.values()), NPY.content_type)
    return Answer(write_archive(outputs), NPZ.content_type)


NPY = BodyFormat("application/x-npy", _read_npy, _write, MAGIC)
NPZ = BodyFormat("application/x-npz", _read_npz, _write, LOCAL_FILE)
