"""The colours keep what the module says of them."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from loadtest.report.theme import DARK, LAYERS, LIGHT, SERVERS, colours, picture, shapes

Array = npt.NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
SEEN_BY = {
    "trichromats": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
SCHEMES = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])


def linear(colour: str) -> Array:
    """Linear RGB of a hexadecimal sRGB colour: shape (3,)."""
    encoded = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def contrast(one: str, two: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    low, high = sorted(float(linear(colour) @ XYZ[1]) for colour in (one, two))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: Array) -> Array:
    """CIELAB of linear RGB: shape (3,)."""
    x, y, z = np.cbrt(XYZ @ np.clip(rgb, 0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@SCHEMES
def test_server_colours_stand_out_from_the_ground(palette: dict[str, str]) -> None:
    """Every server's colour has the contrast that WCAG asks of graphics, at least 3:1."""
    low = {role: contrast(palette[role], palette["ground"]) for role in (f"s{index}" for index in range(SERVERS))}
    assert min(low.values()) >= 3, low


@SCHEMES
@pytest.mark.parametrize("ground", ["ground", "raised"])
def test_text_can_be_read(palette: dict[str, str], ground: str) -> None:
    """Every colour of text has the contrast that WCAG asks of text, at least 4.5:1."""
    assert min(contrast(palette[role], palette[ground]) for role in ("ink", "muted", "limit")) >= 4.5


@SCHEMES
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_first_four_servers_are_told_apart_by_any_eyes(palette: dict[str, str], eyes: str) -> None:
    """Any two of the first four colours lie at least 20 apart in CIELAB, also with a colour vision deficiency."""
    seen = [lab(SEEN_BY[eyes] @ linear(palette[f"s{index}"])) for index in range(4)]
    assert min(float(np.linalg.norm(one - two)) for one, two in itertools.combinations(seen, 2)) >= 20


def test_many_servers_are_told_apart_by_colour_and_shape() -> None:
    """No two of three dozen servers have both the same colour and the same shape."""
    assert len(set(zip(colours(36), shapes(36), strict=True))) == 36


def test_picture_stands_alone() -> None:
    """A picture's specification names no CSS variable, since nothing would give it a colour there."""
    dressed = picture({"mark": {"type": "bar", "color": "var(--s0)"}, "width": "container"}, "title")
    assert dressed["mark"]["color"] == LIGHT["s0"]
    assert "var(" not in str(dressed)
    assert isinstance(dressed["width"], int)


@SCHEMES
def test_numbers_in_layers_can_be_read(palette: dict[str, str]) -> None:
    """They stand in the colour of text on the fill of a layer, whose outline has that colour too."""
    assert min(contrast(palette["ink"], palette[role]) for role in LAYERS) >= 4.5
    assert len({palette[role] for role in LAYERS}) == len(LAYERS)
