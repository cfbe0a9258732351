"""Encoded pictures: a PNG or a JPEG file is one instance of a model whose input is a picture, answered in JSON.

The header is read first. A file of another format, size or colour than the model's is refused before a pixel is
decoded, so that a file which unpacks to gigabytes costs no more than its own bytes.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import JpegImagePlugin, PngImagePlugin
from PIL.ImageFile import ImageFile

from .body_format import BodyFormat, Headers
from .interface import Interface, InvalidRequest, Tensors, TensorSpec
from .json_rows import JSON

MOST_BESIDE = 1024 * 1024
"""Bytes that a file may have beyond those of its bare pixels: for metadata, and where pixels do not compress."""

MOST_SCANS = 100
"""Passes over all pixels that a progressive JPEG file may ask for; encoders make some ten."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: "greyscale", 2: "RGB", 3: "with a palette", 4: "greyscale with alpha", 6: "RGB with alpha"}
_MODES = {"L": "greyscale", "RGB": "RGB", "CMYK": "CMYK"}
_PIXELS = (b"IHDR", b"IDAT", b"IEND")


def _read_png(body: bytes, spec: TensorSpec) -> ImageFile:
    """Return a PNG file of the right header, not yet decoded, without what else it holds.

    Text and profiles may be compressed, and Pillow would unpack them before the pixels are asked for.
    """
    if not body.startswith(_SIGNATURE):
        raise InvalidRequest("the body is no PNG file")
    kept: list[bytes | memoryview] = [_SIGNATURE]
    for kind, content, whole in _chunks(body):
        if len(kept) == 1:
            if kind != b"IHDR" or len(content) != 13:
                raise InvalidRequest("the body is a PNG file without a header")
            width, height, bits, colour = struct.unpack_from(">IIBB", content)
            _check_header(spec, width, height, _COLOURS.get(colour, "of no known colour"), bits)
        if kind in _PIXELS:
            kept.append(whole)
    return PngImagePlugin.PngImageFile(io.BytesIO(b"".join(kept)))


def _chunks(body: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Walk through a PNG file: the type, the content and all of each chunk, the last of which is IEND.

    https://www.w3.org/TR/png-3/#5Chunk-layout: length, type, content and a CRC of the two before it.
    """
    view, at, kind = memoryview(body), len(_SIGNATURE), b""
    while kind != b"IEND":
        if len(body) < at + 12:
            raise InvalidRequest("the PNG file was cut short")
        end = at + 12 + int.from_bytes(body[at : at + 4])
        kind, content = body[at + 4 : at + 8], view[at + 8 : end - 4]
        if len(body) < end:
            raise InvalidRequest("the PNG file was cut short")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(body[end - 4 : end]):
            raise InvalidRequest("the PNG file is damaged: a checksum differs")
        yield kind, content, view[at:end]
        at = end
    if at != len(body):
        raise InvalidRequest(f"{len(body) - at} bytes follow the end of the PNG file")


def _read_jpeg(body: bytes, spec: TensorSpec) -> ImageFile:
    """Return a JPEG file of the right header, not yet decoded."""
    if not body.startswith(b"\xff\xd8\xff"):
        raise InvalidRequest("the body is no JPEG file")
    # No other FF of the pixels is followed by DA; a small preview in the metadata adds a few.
    if body.count(b"\xff\xda") > MOST_SCANS:
        raise InvalidRequest(f"the JPEG file has more than {MOST_SCANS} scans")
    # Not `Image.open`, which warns of large pictures by itself, and looks for several of them in one file.
    picture = JpegImagePlugin.JpegImageFile(io.BytesIO(body))
    _check_header(spec, *picture.size, _MODES.get(picture.mode, picture.mode), 8)
    return picture


def _check_header(spec: TensorSpec, width: int, height: int, colour: str, bits: int) -> None:
    wanted = _wanted(spec)
    if (width, height, bits, colour) != wanted:
        told = [f"{one[0]} x {one[1]} pixels, {one[2]}-bit {one[3]}" for one in ((width, height, bits, colour), wanted)]
        raise InvalidRequest(f"the picture has {told[0]}; the model takes {told[1]}")


def _wanted(spec: TensorSpec) -> tuple[int, int, int, str]:
    height, width = spec.shape[:2]
    return width or 0, height or 0, 8, "greyscale" if len(spec.shape) == 2 else "RGB"


def _values(picture: ImageFile, spec: TensorSpec) -> npt.NDArray[Any]:
    """Decode it: (1, *shape) of the model's own type."""
    pixels = np.asarray(picture).astype(spec.numpy_dtype)
    pixels /= spec.numpy_dtype.type(spec.white or 1)
    return pixels[None]


def _format(name: str, open_header: Callable[[bytes, TensorSpec], ImageFile]) -> BodyFormat:
    def read(body: Any, headers: Headers, interface: Interface) -> Tensors:
        spec = interface.inputs[0]
        if len(interface.inputs) > 1 or spec.white is None:
            raise InvalidRequest("this model takes no pictures; send its inputs as application/json")
        most = spec.most_values + MOST_BESIDE
        if len(body) > most:
            raise InvalidRequest(f"the file has {len(body)} bytes; one picture of this model has at most {most}")
        try:
            with open_header(bytes(body), spec) as picture:
                return {spec.name: _values(picture, spec)}
        except InvalidRequest:
            raise
        except (OSError, SyntaxError, ValueError, zlib.error) as error:  # as Pillow tells of what it cannot read
            told = " ".join(str(error).split())
            raise InvalidRequest(f"the {name} file cannot be read: {told}") from None

    return BodyFormat(f"image/{name.lower()}", read, JSON.write)


PNG = _format("PNG", _read_png)
JPEG = _format("JPEG", _read_jpeg)
