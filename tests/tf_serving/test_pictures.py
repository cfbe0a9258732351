"""Encoded pictures over REST, through the signatures `serving_png` and `serving_jpeg` of the model."""

import base64
from typing import Any

import numpy as np
import psutil
import pytest

from loadtest.servers.artifact import Artifact
from tests.flask_server.picture_files import encoded, gigantic_png, png_head, spoilt, with_chunk, zeros
from tests.tf_serving.process import ServerProcess
from tests.tf_serving.rest_client import answer, error

DIGITS = "/v1/models/digits:predict"
PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
PNG, JPEG = encoded(PIXELS, "PNG"), encoded(PIXELS, "JPEG")
COLOUR = np.zeros((8, 8, 3), np.uint8)
SIZE = "8 x 8 pixels, 8-bit greyscale"


def body(form: str, *files: bytes) -> dict[str, Any]:
    """A request of these pictures."""
    instances = [{"b64": base64.b64encode(file).decode()} for file in files]
    return {"signature_name": f"serving_{form}", "instances": instances}


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_golden_answers(server: ServerProcess, artifact: Artifact, form: str) -> None:
    """Every golden picture in one request, and one alone."""
    golden = artifact.carried_as(form).golden
    files, right = golden.inputs["image"].tolist(), golden.outputs["probabilities"]
    np.testing.assert_allclose(answer(server, DIGITS, body(form, *files))["predictions"], right, atol=1e-5)
    np.testing.assert_allclose(answer(server, DIGITS, body(form, files[7]))["predictions"], right[7:8], atol=1e-5)


@pytest.mark.parametrize(
    ("form", "files", "message"),
    [
        ("png", [PNG, JPEG], SIZE),
        ("jpeg", [PNG], ""),
        ("jpeg", [b""], ""),
        ("png", [b""], SIZE),
        ("png", [encoded(PIXELS[:4], "PNG")], SIZE),
        ("png", [encoded(COLOUR, "PNG")], SIZE),
        ("png", [png_head(8, 8, bits=16) + bytes(99)], SIZE),
        ("jpeg", [JPEG, encoded(PIXELS[:4], "JPEG")], SIZE),
        ("jpeg", [encoded(COLOUR, "JPEG")], SIZE),
        ("png", [PNG[:-12]], "one was cut short"),
        ("png", [PNG[:50] + PNG[-12:]], ""),
        ("png", [spoilt(PNG, 45)], ""),
        ("jpeg", [JPEG[:-20]], ""),
        ("png", ["text"], SIZE),
    ],
)
def test_what_is_no_picture_of_the_model_is_a_400(
    server: ServerProcess, form: str, files: list[Any], message: str
) -> None:
    """A wrong format, size or colour, a file that was cut short; and the server serves on."""
    wrong = body(form) | {"instances": files} if files == ["text"] else body(form, *files)
    status, told = error(server, DIGITS, wrong)
    assert (status, message in told) == (400, True), told
    assert len(answer(server, DIGITS, body("png", PNG))["predictions"]) == 1


def test_a_bomb_takes_little_memory(server: ServerProcess) -> None:
    """A gigantic picture, and text that unpacks to gigabytes: libpng reads no more than 8 MB of a text."""
    process = psutil.Process(server.process.pid)
    text = with_chunk(PNG, b"zTXt", b"k\0\0" + zeros(1_000))
    error(server, DIGITS, body("png", gigantic_png()))
    before = process.memory_info().rss
    for _ in range(3):
        status, told = error(server, DIGITS, body("png", gigantic_png()))
        assert (status, SIZE in told) == (400, True), told
        assert len(answer(server, DIGITS, body("png", text))["predictions"]) == 1
    assert process.memory_info().rss - before < 64 * 2**20
