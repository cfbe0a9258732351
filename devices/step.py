"""One step of trying an export, in a process of its own: its times, its memory and its end are its own.

    python -m devices.step export|check|time NAME ARTIFACT FILE RESULT

`NAME` is that of an export, alone or in a browser, or ``torch`` or ``tensorflow`` for what the servers load. The step
writes JSON to `RESULT`; if it does not, it crashed. Once the file is made, nothing of its exporter is
imported any more.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from devices import browser_runtime, server_forms, source
from devices.all_exports import EXPORTS, ONE, PAGES
from devices.reason import told
from loadtest.servers.exported_model import Made, Right, Round
from models import example_files, forward_timing
from models.artifact_manifest import Manifest, read
from models.examples import Examples, Forward, answers
from models.framework_messages import silence_framework_messages
from models.step_process import peak_bytes
from models.tensors import Tensors

EXAMPLES = 1_000
"""At most so many further examples are asked for their class."""

Load = Callable[[Path, Manifest], Forward]
SERVER_FORMS: dict[str, Load] = {"torch": server_forms.load_torch, "tensorflow": server_forms.load_tensorflow}


def export(name: str, artifact: Path, file: Path) -> Made:
    """Make the file of an export."""
    made_of = source.of_artifact(artifact, read(artifact))
    start = time.perf_counter()
    EXPORTS[name].export(made_of, file)
    return Made(time.perf_counter() - start, file.stat().st_size)


def check(name: str, artifact: Path, file: Path) -> Right:
    """Hold the answers against the golden ones, and the classes of further examples against the true ones."""
    manifest = read(artifact)
    forward = _load(name)(file, manifest)
    golden, expected = example_files.read(artifact, manifest.golden)
    actual = answers(forward, golden, manifest.inputs, 1)
    difference = max(float(np.abs(actual[spec.name] - expected[spec.name]).max()) for spec in manifest.outputs)
    if not manifest.labels:
        return Right(difference, None, 0, _smallest_cosine(actual, expected), None)
    return _classes(difference, forward, manifest, *source.further(artifact, manifest, EXAMPLES))


def _classes(difference: float, forward: Forward, manifest: Manifest, some: Examples, right: Tensors) -> Right:
    """The share of right classes among some examples, and of those that the reference gives."""
    assert some.labels is not None  # a model with classes has examples with them
    scores = manifest.outputs[0].name
    classes = answers(forward, some, manifest.inputs, 1)[scores].argmax(1)
    accuracy, same = (float((classes == these).mean()) for these in (some.labels, right[scores].argmax(1)))
    return Right(difference, accuracy, some.size, None, same)


def _smallest_cosine(actual: Tensors, expected: Tensors) -> float:
    """Over all outputs and examples."""

    def cosines(one: Any, other: Any) -> Any:
        one, other = (array.reshape(len(array), -1).astype(np.float64) for array in (one, other))
        return (one * other).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))

    return min(float(cosines(actual[name], expected[name]).min()) for name in expected)


def time_passes(name: str, artifact: Path, file: Path) -> Round:
    """Load the file and time forward passes of one instance, on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # a browser that is started takes it over
    manifest = read(artifact)
    if page := PAGES.get(name):
        return browser_runtime.time_passes(page.page, artifact, file, manifest, fill_up=page.lengths == ONE)
    start = time.perf_counter()
    forward = _load(name)(file, manifest)
    load_s = time.perf_counter() - start
    timing = forward_timing.time_passes(name, forward, forward_timing.taking_turns(artifact, manifest, 1), 1)
    return Round(load_s, timing.p50_ms, timing.calls, peak_bytes())


def _load(name: str) -> Load:
    if page := PAGES.get(name):
        return lambda file, manifest: browser_runtime.load(page.page, file, manifest, fill_up=page.lengths == ONE)
    return SERVER_FORMS[name] if name in SERVER_FORMS else EXPORTS[name].load


STEPS: dict[str, Callable[[str, Path, Path], Any]] = {"export": export, "check": check, "time": time_passes}


def main() -> None:
    """Do one step; what an exporter or a runtime refuses is a result."""
    silence_framework_messages()
    action, name, artifact, file, result = sys.argv[1:]
    try:
        done = asdict(STEPS[action](name, Path(artifact), Path(file)))
    except Exception as error:  # an exporter may raise anything over a model that it cannot translate
        done = {"refused": told(error)}
    Path(result).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main()
