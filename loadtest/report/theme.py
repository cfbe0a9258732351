"""How figures look: colours, shapes and the configuration of the charts, on the page and in pictures.

A chart names its colours by role, as CSS variables. The page's style sheet gives each role the colour of the reader's
scheme, so that one chart serves light, dark and print; for a picture, which stands alone, the light ones are filled in.

A server has one colour and one shape in every figure. The colours were chosen for white and for near-black ground:
each has a contrast of at least 3:1 to its ground (WCAG 2.2, 1.4.11), and any two of the first four lie at least
20 apart in CIELAB as people with protanopia, deuteranopia and tritanopia see them (Machado, Oliveira and Fernandes,
A Physiologically-based Model for Simulation of Color Vision Deficiency, 2009). Shapes tell them apart without colour.
"""

import json
from typing import Any

LIGHT = {
    "ground": "#ffffff",
    "raised": "#f4f6f8",
    "ink": "#14181f",
    "muted": "#566070",
    "grid": "#dfe3e8",
    "limit": "#b3261e",
    "s0": "#1b4b9b",
    "s1": "#cc7418",
    "s2": "#12968a",
    "s3": "#6a1450",
    "s4": "#5f5a1e",
    "s5": "#c332d6",
    "l0": "#a9c8f2",
    "l1": "#f6c894",
    "l2": "#a6e0c6",
    "l3": "#dcb0dc",
    "l4": "#f3e58f",
    "l5": "#ef9f92",
    "l6": "#d0d5dc",
}
DARK = {
    "ground": "#14181f",
    "raised": "#1e242d",
    "ink": "#eceff3",
    "muted": "#a3adba",
    "grid": "#333c48",
    "limit": "#ff8a80",
    "s0": "#4a90d9",
    "s1": "#f0702a",
    "s2": "#2fe0a0",
    "s3": "#f6c1e2",
    "s4": "#efe45a",
    "s5": "#c25bff",
    "l0": "#2c5a97",
    "l1": "#85521a",
    "l2": "#1c6b55",
    "l3": "#743b7b",
    "l4": "#6b6418",
    "l5": "#90372e",
    "l6": "#4a5361",
}
SERVERS = 6
"""Servers that have a colour of their own; further ones begin anew, with another shape."""

LAYERS = ("l0", "l1", "l2", "l3", "l4", "l5", "l6")
"""Roles of the fills of a server's layers: light, so that the numbers in them can be read; each part has an outline."""

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
PICTURE_WIDTH = 620
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'
"""Of the page and of its charts, which measure their labels in it: `inherit` would be measured as another font."""


def role(name: str) -> str:
    """A colour by its role, as charts and style sheets name it."""
    return f"var(--{name})"


def colours(count: int) -> list[str]:
    """One colour per server, in the order of the comparison."""
    return [role(f"s{index % SERVERS}") for index in range(count)]


def shapes(count: int) -> list[str]:
    """One shape per server, in the order of the comparison."""
    return [SHAPES[(index + index // SERVERS) % SERVERS] for index in range(count)]


def page_config() -> dict[str, Any]:
    """Configuration of the charts on the page."""
    return {
        **_config(),
        "background": "transparent",
        "font": FONT,
        "padding": {"left": 0, "right": 8, "top": 6, "bottom": 0},
    }


def on_page(spec: Any) -> Any:
    """A chart without the legends that the page has beside it."""
    if isinstance(spec, dict):
        return {key: None if key == "legend" else on_page(value) for key, value in spec.items()}
    return [on_page(value) for value in spec] if isinstance(spec, list) else spec


def picture(spec: dict[str, Any], title: str) -> dict[str, Any]:
    """A chart of the page as one that stands alone: with title, legend, a width and the light colours.

    Args:
        spec: Vega-Lite specification.
        title: What it shows.
    """
    config = {
        **_config(),
        "background": role("ground"),
        "font": "Helvetica, Arial, sans-serif",
        "padding": 12,
        "legend": {"labelColor": role("ink"), "labelFontSize": 12, "symbolSize": 90},
        "title": {"color": role("ink"), "fontSize": 14, "fontWeight": 600, "offset": 10},
    }
    whole = {**spec, "config": config, "width": PICTURE_WIDTH, "title": {"text": title, "anchor": "start"}}
    text = json.dumps(whole)
    for name, colour in LIGHT.items():
        text = text.replace(role(name), colour)
    dressed: dict[str, Any] = json.loads(text)
    return dressed


def _config() -> dict[str, Any]:
    return {
        "view": {"stroke": None},
        "axis": {
            "labelColor": role("muted"),
            "titleColor": role("muted"),
            "titleFontWeight": "normal",
            "titleFontSize": 12,
            "labelFontSize": 12,
            "labelOverlap": True,
            "gridColor": role("grid"),
            "domainColor": role("grid"),
            "tickColor": role("grid"),
        },
        "text": {"color": role("ink"), "fontSize": 12},
        "rule": {"color": role("ink")},
    }
