"""Encoded pictures: what is read of a good one, and that a bad one is refused before it can do harm."""

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flask_server.predict_body import JPEG, PNG, BodyFormat, InvalidRequest, chosen_format
from tests.flask_server.bodies import IMAGES, interface, tensor
from tests.flask_server.picture_files import chunk, encoded, gigantic_png, png_head, spoilt, with_chunk, zeros

GREY = interface(tensor("image", "float32", 4, 6, white=255))
COLOUR = interface(tensor("image", "float32", 16, 24, 3, white=51))
PIXELS = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
PHOTOGRAPH = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)


def read(form: BodyFormat, body: bytes, model: Any = GREY) -> Any:
    """The input of the model."""
    return form.read(body, lambda name: None, model)["image"]


def test_a_png_gives_its_pixels() -> None:
    """Each divided by what stands for 1, in the model's own type; metadata change nothing."""
    plain = encoded(PIXELS, "PNG")
    text = with_chunk(plain, b"zTXt", b"k\0\0" + zlib.compress(b"text"))
    for body in (plain, text, with_chunk(plain, b"tRNS", b"\0\3")):
        array = read(PNG, body)
        assert (array.dtype, array.shape) == (np.float32, (1, 4, 6))
        np.testing.assert_array_equal(array[0], PIXELS.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(read(PNG, encoded(PHOTOGRAPH, "PNG"), COLOUR)[0], PHOTOGRAPH / np.float32(51))


@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 50, "progressive": True}])
def test_a_jpeg_gives_what_a_decoder_gives(options: dict[str, Any]) -> None:
    """The file's own pixels, whatever they were before."""
    body = encoded(PHOTOGRAPH, "JPEG", **options)
    right = np.asarray(Image.open(io.BytesIO(body)))
    np.testing.assert_array_equal(read(JPEG, body, COLOUR)[0], right / np.float32(51))
    assert not np.array_equal(right, PHOTOGRAPH)


GOOD = encoded(PIXELS, "PNG")
GOOD_JPEG = encoded(PIXELS, "JPEG")
FAULTS = [
    (PNG, b"", "the body is no PNG file"),
    (PNG, GOOD_JPEG, "the body is no PNG file"),
    (JPEG, GOOD, "the body is no JPEG file"),
    (JPEG, b"\xff\xd8\xff", "the JPEG file cannot be read"),
    (PNG, encoded(PIXELS.T, "PNG"), "has 4 x 6 pixels, 8-bit greyscale; the model takes 6 x 4 pixels, 8-bit grey"),
    (PNG, encoded(PHOTOGRAPH[:4, :6], "PNG"), "the picture has 6 x 4 pixels, 8-bit RGB; the model takes"),
    (PNG, png_head(6, 4, bits=16), "6 x 4 pixels, 16-bit greyscale"),
    (PNG, png_head(6, 4, colour=3), "8-bit with a palette"),
    (PNG, png_head(6, 4, colour=6), "8-bit RGB with alpha"),
    (PNG, GOOD[:8] + chunk(b"IDAT", b"0" * 13), "without a header"),
    (JPEG, encoded(PHOTOGRAPH[:4, :6], "JPEG"), "8-bit RGB; the model takes 6 x 4 pixels, 8-bit greyscale"),
    (JPEG, encoded(PIXELS[:3], "JPEG"), "the picture has 6 x 3 pixels"),
    (PNG, GOOD[:-12], "the PNG file was cut short"),
    (PNG, GOOD[:-20], "the PNG file was cut short"),
    (PNG, GOOD[:40], "the PNG file was cut short"),
    (PNG, GOOD + b"more", "4 bytes follow the end of the PNG file"),
    (PNG, spoilt(GOOD, 45), "a checksum differs"),
    (PNG, GOOD[:33] + chunk(b"IEND", b""), "the PNG file cannot be read"),
    (PNG, GOOD[:33] + chunk(b"IDAT", b"noise") + chunk(b"IEND", b""), "the PNG file cannot be read"),
    (JPEG, GOOD_JPEG[:-2], "the JPEG file cannot be read: image file is truncated"),
    (JPEG, GOOD_JPEG[: len(GOOD_JPEG) // 2], "the JPEG file cannot be read"),
    (JPEG, GOOD_JPEG + b"\xff\xda" * 200, "more than 100 scans"),
    (PNG, GOOD + bytes(2**21), "bytes; one picture of this model has at most"),
]


@pytest.mark.parametrize(("form", "body", "message"), FAULTS)
def test_fault_is_named(form: BodyFormat, body: bytes, message: str) -> None:
    """A body that is no picture of the model's is refused in one line."""
    with pytest.raises(InvalidRequest) as caught:
        read(form, body)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_pictures_takes_none() -> None:
    """Whatever the body is."""
    for kind in ("image/png", "image/jpeg"):
        form = chosen_format(kind)
        assert form is not None
        with pytest.raises(InvalidRequest, match="takes no pictures; send its inputs as application/json"):
            form.read(GOOD, lambda name: None, IMAGES)


def bombs() -> list[tuple[BodyFormat, bytes]]:
    """Small files that would unpack to much: a gigantic picture, text, profiles, more pixels than the header tells."""
    text = zeros(64)
    jpeg = bytearray(GOOD_JPEG)
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    more = png_head(6, 4) + chunk(b"IDAT", zeros(50)) + chunk(b"IEND", b"")
    return [
        (PNG, gigantic_png()),
        (PNG, with_chunk(GOOD, b"zTXt", b"k\0\0" + text)),
        (PNG, with_chunk(GOOD, b"iCCP", b"k\0\0" + text)),
        (PNG, with_chunk(GOOD, b"iTXt", b"k\0\1\0\0\0" + text)),
        (PNG, more),
        (JPEG, bytes(jpeg)),
    ]


@pytest.mark.parametrize(("form", "body"), bombs(), ids=["pixels", "zTXt", "iCCP", "iTXt", "IDAT", "JPEG"])
def test_a_bomb_takes_no_more_than_its_own_bytes(form: BodyFormat, body: bytes) -> None:
    """Refused, or read without what makes it one."""
    refused = ""
    tracemalloc.start()
    try:
        read(form, body)
    except InvalidRequest as error:
        refused = str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * len(body) + 2**20
    assert refused == "" or "0000 x " in refused
