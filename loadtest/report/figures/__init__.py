"""The figures of the report, one module each: its numbers, then its charts."""

import math
from dataclasses import dataclass, field

from loadtest.report.figure import Figure
from loadtest.report.figures import (
    batch_size,
    cost,
    layers,
    load_curve,
    long_night,
    model_weight,
    overhead,
    overview,
    percentiles,
    setup_effort,
    timeline,
    under_fire,
    wires,
)
from loadtest.report.reading import Document, Results


@dataclass(frozen=True)
class Drawn:
    """Every figure of a report that there are valid numbers for.

    Attributes:
        across: Those that hold several comparisons side by side.
        of: Those of each comparison by its name: by kind, such as ``overview``, in the order of the page.
        setup: That of the ease of setup, of the first comparison where it was measured.
        fire: That of what was tried out under fire.
        night: That of a soak.
    """

    across: list[Figure] = field(default_factory=list)
    of: dict[str, dict[str, Figure]] = field(default_factory=dict)
    setup: Figure | None = None
    fire: Figure | None = None
    night: Figure | None = None

    @property
    def every(self) -> list[Figure]:
        """All of them."""
        figures = [*self.across, *(one for figures in self.of.values() for one in figures.values())]
        return [*figures, *(one for one in (self.setup, self.fire, self.night) if one)]


def draw(results: Results) -> Drawn:
    """Draw every figure; the keys of those of one comparison begin with its name where there are several."""
    several = len(results.documents) > 1
    across = [model_weight.figure(results)] if len(model_weight.models(results)) > 1 else []
    across += [batch_size.figure(model, compared) for model, compared in batch_size.by_model(results).items()]
    setup = setup_effort.figure(results.with_setup) if results.with_setup else None
    return Drawn(
        [figure for figure in across if _holds_numbers(figure)],
        {name: _of(one, several=several) for name, one in results.by_name.items()},
        setup if setup and _holds_numbers(setup) else None,
        under_fire.figure(results.resilience.servers) if results.resilience else None,
        long_night.figure(list(results.soak.servers.values())) if results.soak else None,
    )


def slug(name: str) -> str:
    """The name of a comparison as it stands in addresses and names of files."""
    return name.replace("@", "-")


def _of(document: Document, *, several: bool) -> dict[str, Figure]:
    prefix = f"{slug(document.name)}-" if several else ""
    modules = (load_curve, percentiles, timeline, overhead, layers, wires, cost)
    figures = [
        overview.figure(document, counted=not several),
        *(module.figure(document.comparison) for module in modules),
    ]
    return {figure.key: figure.under(prefix) for figure in figures if _holds_numbers(figure)}


def _holds_numbers(figure: Figure) -> bool:
    cells = [cell for table in figure.tables for row in table.rows for cell in row]
    return any(isinstance(cell, int | float) and math.isfinite(cell) for cell in cells)
