"""Encoded pictures, good ones and others, written without the code under test."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD_BYTES = 33
"""Of a PNG file: the signature, and the header with its length, type and checksum."""


def encoded(pixels: npt.NDArray[np.uint8], form: str, **options: Any) -> bytes:
    """A file of these pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_head(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    """How a PNG file begins."""
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """The file with a further chunk before its pixels."""
    return png[:HEAD_BYTES] + chunk(kind, content) + png[HEAD_BYTES:]


def spoilt(file: bytes, at: int) -> bytes:
    """The file with one bit turned."""
    return file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]


def zeros(count: int) -> bytes:
    """So many megabytes of zeros, packed: some 1,000 bytes each. One is packed, and then repeated."""
    size = 2**20
    packer = zlib.compressobj(9)
    packed = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    head, block = packed[:2], packed[2:]
    # The last block is empty; the checksum (Adler-32) of zeros is known.
    end = b"\3\0" + struct.pack(">HH", count * size % 65_521, 1)
    return head + block * count + end


def gigantic_png() -> bytes:
    """30,000 x 30,000 pixels, all black, with all of their rows: less than a megabyte."""
    return png_head(30_000, 30_000) + chunk(b"IDAT", zeros(859)) + chunk(b"IEND", b"")
