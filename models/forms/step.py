"""One step of trying a form, in a process of its own: its import and load times, its memory and its end are its own.

    python -m models.forms.step build|answer|first|probe FORM ARTIFACT FILES RESULT

`FILES` is the folder of the built form. The step writes JSON to `RESULT`; if it does not, it crashed.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models import example_files, export_parity, forward_timing, read_back
from models.artifact_manifest import Manifest, read
from models.errors import ExportParityError, FormError
from models.examples import Examples, Forward
from models.forms import sources
from models.forms.all_forms import FORMS
from models.forms.finding import Answered, BuiltForm
from models.forms.form import Form, Source, told
from models.forms.probes import probe
from models.framework_messages import silence_framework_messages
from models.step_process import peak_bytes
from models.tensors import Tensors

TRIED_BATCHES = (1, 3, 8, 32)
TIMED_BATCHES = (1, 8, 32)
BUILT_BATCH = 2


def build(form: Form, artifact: Path, files: Path) -> BuiltForm:
    """Build the form into `files`."""
    _import(form.framework)
    source = sources.of_artifact(form.framework, artifact, read(artifact))
    start = time.perf_counter()
    form.build(source, files)
    seconds = time.perf_counter() - start
    return BuiltForm(seconds, sum(file.stat().st_size for file in files.rglob("*") if file.is_file()))


def first(form: Form, artifact: Path, files: Path) -> dict[str, bool]:
    """Load the form and have one answer, whatever it is."""
    _import(form.framework)
    manifest = read(artifact)
    source = sources.of_artifact(form.framework, artifact, manifest)
    form.load(source, files)(_one(source))
    return {"answered": True}


def answer(form: Form, artifact: Path, files: Path) -> Answered:
    """Load the form, hold its answers against the golden ones in batches of several sizes, and time it."""
    start = time.perf_counter()
    _import(form.framework)
    import_s = time.perf_counter() - start
    manifest = read(artifact)
    source = sources.of_artifact(form.framework, artifact, manifest)
    one = _one(source)
    start = time.perf_counter()
    forward = form.load(source, files)
    forward(one)
    first_answer_s = time.perf_counter() - start
    golden = example_files.read(artifact, manifest.golden)
    batches = {
        size: _fault(form, forward, size, golden, manifest) for size in TRIED_BATCHES if size <= manifest.max_instances
    }
    difference, fault = _parity(form, forward, batches, golden, manifest)
    timings = []
    if difference is not None:
        for size in TIMED_BATCHES:
            if batches.get(size) == "":
                inputs = forward_timing.taking_turns(artifact, manifest, size)
                timings.append(forward_timing.time_passes(form.framework, forward, inputs, size))
    return Answered(import_s, first_answer_s, difference, fault, batches, tuple(timings), _peak_bytes())


def _one(source: Source) -> Tensors:
    return {name: array[:1] for name, array in source.example.items()}


def _fault(form: Form, forward: Forward, size: int, golden: tuple[Examples, Tensors], manifest: Manifest) -> str:
    try:
        export_parity.ask(form.name, forward, size, golden, manifest)
    except ExportParityError as error:
        return str(error)
    except Exception as error:  # a framework may raise anything over a shape that it was not made for
        return told(error)
    return ""


def _parity(
    form: Form, forward: Forward, batches: dict[int, str], golden: tuple[Examples, Tensors], manifest: Manifest
) -> tuple[float | None, str]:
    """The largest difference over the sizes that are answered, or over the one it was built with."""
    wrong = [fault for fault in batches.values() if "differs from the reference" in fault]
    if wrong:
        return None, wrong[0]
    sizes = [size for size, fault in batches.items() if not fault] or [BUILT_BATCH]
    try:
        return max(export_parity.ask(form.name, forward, size, golden, manifest) for size in sizes), ""
    except ExportParityError as error:
        return None, str(error)


def _import(framework: str) -> None:
    """Import a framework, to compute on one thread."""
    if framework == "torch":
        importlib.import_module("torch").set_num_threads(1)
        return
    tf = read_back.cpu_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _peak_bytes() -> int:
    """Most memory of this process so far. On Linux without what the process had before it became this program."""
    if (peak := peak_bytes()) is not None:
        return peak
    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_rss if sys.platform == "darwin" else peak_rss * 1024


STEPS: dict[str, Callable[[Form, Path, Path], Any]] = {"build": build, "answer": answer, "first": first}


def main() -> None:
    """Do one step; what it refuses is a result."""
    silence_framework_messages()
    action, name, artifact, files, result = sys.argv[1:]
    form = FORMS[name]
    try:
        if action == "probe":
            _import(form.framework)
            done: Any = asdict(probe(form, Path(files)))
        else:
            outcome = STEPS[action](form, Path(artifact), Path(files))
            done = outcome if isinstance(outcome, dict) else asdict(outcome)
    except FormError as error:
        done = {"refused": str(error)}
    except Exception as error:  # what a framework refuses is what is asked here
        done = {"refused": told(error)}
    Path(result).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main()
