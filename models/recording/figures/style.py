"""How the pictures look, and how they become SVG for light and dark pages, and pixels for TensorBoard."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#14181f"
INK_ON_DARK = "#eceff3"
FIRST, SECOND, WRONG = "#2f74c0", "#cc7418", "#d0443a"
"""Of curves and marks: each has a contrast of at least 3:1 to white and to near-black ground."""

SCHEMES = f"svg{{color:{INK}}}@media screen and (prefers-color-scheme:dark){{svg{{color:{INK_ON_DARK}}}}}"
"""What is drawn in ink takes the reader's scheme; other colours are right on both grounds."""

SETTINGS: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "font.size": 10,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "record",  # in place of random identifiers
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style, whatever a user's own files set."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]  # their names, as literals
        yield


def new_figure(width: float, height: float) -> "Figure":
    """A figure of so many inches that leaves nothing in Matplotlib's list of open ones."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def svg(figure: "Figure") -> str:
    """The figure as SVG on no ground: the same text for the same figure, legible on light and on dark."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue().replace(INK, "currentColor")
    head, rest = drawn.split("<defs>", 1)
    return f"{head}<style>{SCHEMES}</style>\n <defs>{rest}"


def pixels(figure: "Figure") -> NDArray[np.uint8]:
    """The figure on white ground, (height, width, 3)."""
    file = io.BytesIO()
    figure.savefig(file, format="rgba", dpi=110, facecolor="white")
    width, height = (round(inches * 110) for inches in figure.get_size_inches())
    return np.frombuffer(file.getvalue(), np.uint8).reshape(height, width, 4)[..., :3].copy()
