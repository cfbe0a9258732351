"""Runs an export in a page of a browser: as a forward pass of this process, and timed by the page itself."""

import atexit
import contextlib
from pathlib import Path

from devices.browser import Page, open_page
from devices.source import filled_up
from loadtest.servers.exported_model import Round
from models import forward_timing
from models.artifact_manifest import Manifest
from models.examples import Forward
from models.tensors import Tensors

WARMUP_S = 1.0
"""How long a page passes at least before it is timed; every instance once in any case."""


def load(runtime: str, file: Path, manifest: Manifest, *, fill_up: bool) -> Forward:
    """The export as a forward pass over arrays by their names; the browser ends with this process.

    Args:
        runtime: Module of ``in_browser/`` with `load`.
        file: The export.
        manifest: Of the artifact.
        fill_up: Whether it takes instances of the largest length only.

    Raises:
        DevicesError: There is no browser, or the runtime refuses the file.
    """
    opened = contextlib.ExitStack()
    atexit.register(opened.close)
    page = opened.enter_context(open_page(file))
    _load(page, runtime, manifest)

    def forward(tensors: Tensors) -> Tensors:
        whole = filled_up(tensors, manifest.inputs) if fill_up else tensors
        _, (answered,) = page.do("answer", [whole])
        return answered

    return forward


def time_passes(runtime: str, artifact: Path, file: Path, manifest: Manifest, *, fill_up: bool) -> Round:
    """Load the export in a page and let the page time its passes; the arguments are those of `load`."""
    instances = forward_timing.taking_turns(artifact, manifest, 1)
    if fill_up:
        instances = [filled_up(one, manifest.inputs) for one in instances]
    with open_page(file) as page:
        load_s = _load(page, runtime, manifest)
        told, _ = page.do("time", instances, warmup_s=WARMUP_S, seconds=forward_timing.SECONDS)
    return Round(load_s, told["forward_ms"], told["calls"], None)


def _load(page: Page, runtime: str, manifest: Manifest) -> float:
    inputs, outputs = ([spec.name for spec in side] for side in (manifest.inputs, manifest.outputs))
    told, _ = page.do("load", runtime=runtime, inputs=inputs, outputs=outputs)
    return float(told["seconds"])
