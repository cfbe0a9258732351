"""Try the forms of one model, each step in a process of its own, first where no C++ compiler can be found."""

import datetime
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models import processor
from models.artifact_manifest import Manifest
from models.forms.finding import Answered, Branch, BuiltForm, Calls, Finding, Findings, Probes
from models.forms.form import Form
from models.forward_timing import ForwardTiming
from models.step_process import take_step

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("numpy", "tensorflow", "torch")


def measure(
    artifact: Path,
    manifest: Manifest,
    forms: Sequence[Form],
    *,
    rounds: int,
    command: str,
    say: Callable[[str], None],
) -> Findings:
    """Build, ask and time each form of a model.

    Args:
        artifact: The artifact of the model.
        manifest: Its manifest.
        forms: Those to try.
        rounds: How often each is loaded and timed, in a process of its own, the forms taking turns.
        command: What the user typed, for the record.
        say: Receives a line for each form, when it is done.
    """
    with tempfile.TemporaryDirectory(prefix="forms-") as scratch:
        found: dict[str, Finding] = {}
        for form in forms:
            (Path(scratch) / form.name).mkdir()
            found[form.name] = _try(form, artifact, Path(scratch) / form.name)
            say(f"{form.title}: {_in_short(found[form.name])}")
        for number in range(2, rounds + 1):
            for form in forms:
                found[form.name] = _once_more(form, found[form.name], artifact, Path(scratch) / form.name)
            say(f"round {number} of {rounds}")
    return Findings(
        workload=manifest.workload,
        version=manifest.version,
        command=command,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=processor.described(),
        versions={"python": platform.python_version(), **{name: manifest.versions[name] for name in VERSIONS}},
        forms=list(found.values()),
    )


def _try(form: Form, artifact: Path, scratch: Path) -> Finding:
    finding = Finding(form=form.name, title=form.title, framework=form.framework)
    build, needed, without = _with_and_without("build", form, artifact, scratch)
    if "refused" in build:
        return replace(finding, refused=build["refused"], probes=_probes(form, artifact, scratch))
    finding = replace(finding, compiler_to_build=needed, without_compiler=without, built=BuiltForm(**build))
    answered, needed, without = _with_and_without("answer", form, artifact, scratch)
    if "refused" in answered:
        return replace(finding, refused=answered["refused"], probes=_probes(form, artifact, scratch))
    return replace(
        finding,
        compiler_to_run=needed,
        without_compiler=finding.without_compiler or without,
        rounds=(_answered(answered),),
        probes=_probes(form, artifact, scratch),
    )


def _once_more(form: Form, finding: Finding, artifact: Path, scratch: Path) -> Finding:
    """Load and time a form again that answered rightly."""
    if finding.answered is None or finding.answered.difference is None:
        return finding
    again = _step("answer", form, artifact, scratch, compiler=bool(finding.compiler_to_run))
    if "refused" in again:
        return replace(finding, refused=f"in a later round: {again['refused']}")
    return replace(finding, rounds=(*finding.rounds, _answered(again)))


def _with_and_without(action: str, form: Form, artifact: Path, scratch: Path) -> tuple[dict[str, Any], bool, str]:
    """Take a step without a compiler, and where that fails with one.

    Returns:
        What came of it, whether the compiler made the difference, and what was said without one.
    """
    done = _step(action, form, artifact, scratch, compiler=False)
    if "refused" not in done:
        return done, False, ""
    again = _step(action, form, artifact, scratch, compiler=True)
    needed = "refused" not in again
    return again, needed, done["refused"] if needed else ""


def _probes(form: Form, artifact: Path, scratch: Path) -> Probes | None:
    done = _step("probe", form, artifact, scratch, compiler=True)
    if "refused" in done:
        return None
    return Probes(_calls(done["prints"]), _calls(done["breakpoints"]), Branch(**done["branch"]))


def _calls(done: Mapping[str, Any]) -> Calls:
    return Calls(**{**done, "each": tuple(done["each"])})


def _answered(done: Mapping[str, Any]) -> Answered:
    batches = {int(size): fault for size, fault in done["batches"].items()}
    return Answered(**{**done, "batches": batches, "timings": tuple(ForwardTiming(**one) for one in done["timings"])})


def _step(action: str, form: Form, artifact: Path, scratch: Path, *, compiler: bool) -> dict[str, Any]:
    """Take one step in a process of its own; that it crashes or does not end is a refusal."""
    name = f"{action}-{'with' if compiler else 'without'}"
    files = scratch / ("files" if action != "probe" else name)
    if action != "answer":
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
    result = scratch / f"{name}.json"
    cache = scratch / f"cache-{name}"
    shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-m", "models.forms.step", action, form.name, str(artifact), str(files), str(result)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        # A cache of its own: what an earlier run compiled must not make this one look faster.
        "TORCHINDUCTOR_CACHE_DIR": str(cache),
    }
    if not compiler:
        environment["PATH"] = ""
        environment.pop("CXX", None)
    return take_step(command, result, environment=environment)


def _in_short(finding: Finding) -> str:
    if finding.refused:
        return f"refused: {finding.refused}"
    assert finding.answered is not None  # it was built and asked, or it says why not
    if finding.answered.difference is None:
        return f"answers wrongly: {finding.answered.fault}"
    first = finding.answered.timings[0].p50_ms if finding.answered.timings else float("nan")
    return f"first answer after {finding.answered.first_answer_s:.2f} s, then {first:.3f} ms"
