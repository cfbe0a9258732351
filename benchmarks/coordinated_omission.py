"""What a stall looks like to an open and to a closed loop: `python benchmarks/coordinated_omission.py`.

Runs the load engine in virtual time against a simulated server that stops for one second in every ten, prints the
table of docs/coordinated-omission.md and draws its picture. Nothing is random and no wall clock is read: every run,
on any machine, prints the same.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.experiments.simulation import FifoServer, Stalls, fixed, simulate
from loadtest.load.histogram import Histogram
from loadtest.load.schedule import Closed, Constant

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "coordinated-omission.svg"
RATE, SERVICE_S, EVERY_S, STALL_S = 100.0, 0.001, 10.0, 1.0
DURATION_S = 200.0
PERCENTS = (50.0, 90.0, 99.0, 99.9, 99.99)


@dataclass(frozen=True)
class Curve:
    """Response times as one way of measuring has them.

    Attributes:
        label: What the picture and the table call it.
        colour: Of its line.
        histogram: The measured times.
    """

    label: str
    colour: str
    histogram: Histogram

    @property
    def points(self) -> list[tuple[float, float]]:
        """Share of the requests that are not slower, and the time in milliseconds, for each time that occurred."""
        values, counts = self.histogram.nonzero()
        points, before = [], 0
        for value, count in zip(values, counts, strict=True):
            points += [(before / self.histogram.count, value / 1e6)]
            before += count
            points += [(before / self.histogram.count, value / 1e6)]
        return points


def truth() -> list[float]:
    """Response times in milliseconds of the requests of one cycle, by arithmetic.

    Request i is due at 10 i ms. Those that meet the stall are served one a millisecond from its end on, so request i
    is answered after 1001 - 9 i ms, until the queue is empty and a request takes its bare millisecond.
    """
    gap, service, stall = 1_000 / RATE, SERVICE_S * 1_000, STALL_S * 1_000
    return [max(stall + (i + 1) * service - i * gap, service) for i in range(int(RATE * EVERY_S))]


def measure() -> list[Curve]:
    """The same server under an open and a closed loop."""

    def server() -> FifoServer:
        return FifoServer(fixed(SERVICE_S), stalls=Stalls(EVERY_S, STALL_S))

    opened = simulate(Constant(RATE, DURATION_S), server(), connections=1).tally
    closed = simulate(Closed(DURATION_S), server(), connections=1).tally
    return [
        Curve("open loop", "#1f6feb", opened.response),
        Curve("open loop, timed from the actual send", "#bf8700", opened.service),
        Curve("closed loop", "#cf222e", closed.response),
    ]


def table(curves: Sequence[Curve]) -> str:
    """The percentiles as a Markdown table."""
    exact = sorted(truth())
    rows = {"arithmetic": [exact[math.ceil(percent / 100 * len(exact) - 1e-9) - 1] for percent in PERCENTS]}
    rows |= {curve.label: [value / 1e6 for value in curve.histogram.percentiles(PERCENTS)] for curve in curves}
    lines = ["| ms | " + " | ".join(f"p{percent:g}" for percent in PERCENTS) + " |", "| :--- |" + " ---: |" * 5]
    lines += [
        f"| {label} | " + " | ".join(f"{value:,.0f}" for value in values) + " |" for label, values in rows.items()
    ]
    return "\n".join(lines)


# -- the picture

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 24, 30, 60
NINES, DECADES = 4.3, 3.3  # the axes end at 99.995 % and at 2 s


def _x(share: float) -> float:
    nines = min(-math.log10(1 - share), NINES) if share < 1 else NINES
    return LEFT + nines / NINES * (WIDTH - LEFT - RIGHT)


def _y(ms: float) -> float:
    return HEIGHT - BOTTOM - (math.log10(ms) + 0.15) / (DECADES + 0.15) * (HEIGHT - TOP - BOTTOM)


def _line(points: Sequence[tuple[float, float]], style: str) -> str:
    path = " ".join(f"{_x(share):.1f},{_y(ms):.1f}" for share, ms in points)
    return f'<polyline fill="none" stroke-linejoin="round" {style} points="{path}"/>'


def _text(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{words}</text>'


def picture(curves: Sequence[Curve]) -> str:
    """The percentile curves as SVG: both axes logarithmic, the horizontal one in nines."""
    exact = sorted(truth())
    steps = [(rank / len(exact), ms) for rank, ms in enumerate(exact)] + [(1.0, exact[-1])]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="13"',
        ' font-family="system-ui, sans-serif" fill="#24292f">',
        "<title>Response time by percentile: arithmetic, open loop and closed loop</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for share in (0.0, 0.9, 0.99, 0.999, 0.9999):
        x = _x(share)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#d0d7de"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 20, f"{100 * share:g} %", 'text-anchor="middle"'))
    for ms, words in ((1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1_000, "1 s")):
        parts.append(f'<path d="M{LEFT} {_y(ms):.1f}H{WIDTH - RIGHT}" stroke="#d0d7de"/>')
        parts.append(_text(LEFT - 8, _y(ms) + 4, words, 'text-anchor="end"'))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 14, "share of the requests that were not slower", 'text-anchor="middle"'))
    parts.append(_line(steps, 'stroke="#8c959f" stroke-opacity="0.45" stroke-width="9"'))
    styles = ('stroke-width="2.5"', 'stroke-width="2.5" stroke-dasharray="7 4"', 'stroke-width="2.5"')
    for curve, style in zip(curves, styles, strict=True):
        parts.append(_line(curve.points, f'stroke="{curve.colour}" {style}'))
    labels = (
        (_x(0.9) + 10, 45, "start", "open loop, on the arithmetic (grey)"),
        (_x(0.999) - 8, 8, "end", "open loop, but timed from the actual send"),
        (_x(0.99988) - 8, 2.2, "end", "closed loop"),
    )
    for curve, (x, height, anchor, words) in zip(curves, labels, strict=True):
        parts.append(_text(x, _y(height), words, f'fill="{curve.colour}" text-anchor="{anchor}"'))
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Print the table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture (default: %(default)s)")
    out: Path = parser.parse_args().out
    curves = measure()
    print(table(curves))  # noqa: T201  # a script's output
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(picture(curves), encoding="utf-8")


if __name__ == "__main__":
    main()
