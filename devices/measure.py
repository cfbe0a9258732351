"""Try the exports of one model, each step in a process of its own."""

import datetime
import importlib.metadata
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from devices.all_exports import QUANTISED, Export
from devices.environment import ROOT
from loadtest.servers.exported_model import Exported, ExportedModel, Made, Right, Round
from loadtest.setup.code_lines import count_lines
from models import processor
from models.artifact_manifest import Manifest
from models.step_process import take_step

PACKAGES = (
    "ai-edge-litert", "executorch", "litert-torch", "numpy", "onnx", "onnxruntime", "onnxscript", "tensorflow", "torch",
    "torchao",
)  # fmt: skip
HERE = Path(__file__).resolve().parent
LEAST_ALIKE = 0.5
"""An int8 export has to give so large a share of the examples the reference's class, or to have such a cosine."""


def measure(
    artifact: Path,
    manifest: Manifest,
    exports: Sequence[Export],
    *,
    python: Path,
    folder: Path,
    scratch: Path,
    rounds: int,
    command: str,
    say: Callable[[str], None],
) -> ExportedModel:
    """Make, check and time each export of a model, and time what the servers load.

    Args:
        artifact: The artifact of the model.
        manifest: Its manifest.
        exports: Those to try.
        python: The Python that has the exporters.
        folder: Where the files are left, as NAME.SUFFIX.
        scratch: An empty folder for the steps.
        rounds: How often each is loaded and timed, in a process of its own, the exports taking turns.
        command: What the user typed, for the record.
        say: Receives a line for each export when it is made, and one when it is timed.
    """
    steps = _Steps(python, artifact, scratch)
    varies = any(spec.lengths for spec in manifest.inputs)
    files = {"torch": artifact / "torch", "tensorflow": artifact / "saved_model" / str(manifest.version)}
    files |= {export.name: folder / f"{export.name}.{export.suffix}" for export in exports}
    found = {
        name: Exported(name=name, title=title, framework=name, on_server=True, made=Made(None, _size(files[name])))
        for name, title in (("torch", "PyTorch, on the server"), ("tensorflow", "TensorFlow, on the server"))
    }
    for export in exports:
        found[export.name] = made = _export(steps, export, files[export.name], varies)
        say(f"{made.title}: {f'exported in {made.made.seconds:.0f} s' if made.made else made.refused}")
        if export.page and made.made:
            files[export.in_browser] = files[export.name]
            found[export.in_browser] = _on_a_page(export, made)
    for name, finding in found.items():
        found[name] = _check(steps, finding, files[name], manifest.tolerance)
    for number in range(1, rounds + 1):
        for name, finding in found.items():
            found[name] = _time(steps, finding, files[name])
            if number == 1:
                say(f"{finding.title}: {_in_short(found[name])}")
        if rounds > 1:
            say(f"round {number} of {rounds}")
    return ExportedModel(
        workload=manifest.workload,
        version=manifest.version,
        command=command,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=processor.described(),
        versions=versions(python),
        exports=list(found.values()),
    )


def versions(python: Path) -> dict[str, str]:
    """The versions of Python, the frameworks, the exporters and the runtimes that a Python has."""
    folders = sorted(python.parent.parent.glob("lib/python*/site-packages"))
    there = {
        found.metadata["Name"].lower().replace("_", "-"): found.version
        for found in importlib.metadata.distributions(path=[str(folder) for folder in folders])
    }
    code = "import platform; print(platform.python_version())"
    asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return {"python": asked.stdout.strip(), **{name: there[name] for name in PACKAGES if name in there}}


def _export(steps: "_Steps", export: Export, file: Path, varies: bool) -> Exported:
    finding = Exported(
        name=export.name,
        title=export.title,
        framework=export.framework,
        int8=export.is_int8,
        lengths=export.lengths if varies else "",
        export_lines=count_lines(HERE / f"{export.exporter}.py"),
        run_lines=count_lines(HERE / f"{export.runtime}.py"),
    )
    done = steps.take("export", export.name, file)
    if "refused" in done:
        return replace(finding, refused=done["refused"])
    return replace(finding, made=Made(**done))


def _on_a_page(export: Export, made: Exported) -> Exported:
    """The same file as a row of its own, to be asked in a browser."""
    title = f"{made.title.removesuffix(QUANTISED)} in the browser{QUANTISED if made.int8 else ''}"
    lines = count_lines(HERE / "in_browser" / f"{export.page}.mjs")
    size = made.made and Made(None, made.made.bytes)
    return replace(made, name=export.in_browser, title=title, export_lines=None, run_lines=lines, made=size)


def _check(steps: "_Steps", finding: Exported, file: Path, tolerance: float) -> Exported:
    """How right the answers are; those of float32 must be within the tolerance of the artifact."""
    if finding.refused:
        return finding
    done = steps.take("check", finding.name, file)
    if "refused" in done:
        return replace(finding, refused=f"made, but gives no answer: {done['refused']}")
    right = Right(**done)
    return replace(finding, right=right, wrong=_wrong_int8(right) if finding.int8 else _wrong(right, tolerance))


def _wrong(right: Right, tolerance: float) -> str:
    if right.difference <= tolerance:
        return ""
    return f"differs from the golden answers by {right.difference:.2g}, allowed {tolerance:g}"


def _wrong_int8(right: Right) -> str:
    """What quantisation costs is for the reader to judge; answers without any relation to the right ones are wrong."""
    if right.same is not None and right.same < LEAST_ALIKE:
        return f"gives {right.same:.0%} of the examples the class that the reference gives, asked {LEAST_ALIKE:.0%}"
    if right.cosine is not None and right.cosine < LEAST_ALIKE:
        return f"the smallest cosine to the reference is {right.cosine:.2f}, asked {LEAST_ALIKE:g}"
    return ""


def _time(steps: "_Steps", finding: Exported, file: Path) -> Exported:
    if finding.refused or finding.wrong:
        return finding
    done = steps.take("time", finding.name, file)
    if "refused" in done:
        return replace(finding, refused=f"while it was timed: {done['refused']}")
    return replace(finding, rounds=(*finding.rounds, Round(**done)))


class _Steps:
    """Takes steps over one artifact, each in a process of its own; that one crashes or does not end is a refusal."""

    def __init__(self, python: Path, artifact: Path, scratch: Path) -> None:
        self._python, self._artifact, self._scratch = python, artifact.resolve(), scratch
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(scratch),  # a step that is killed leaves its files, such as the profile of a browser
            "CUDA_VISIBLE_DEVICES": "-1",
            "OMP_NUM_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    def take(self, action: str, name: str, file: Path) -> dict[str, Any]:
        result = self._scratch / f"{action}-{name}.json"
        command = [self._python, "-m", "devices.step", action, name, self._artifact, file.resolve(), result]
        # Some exporters leave files where they run.
        return take_step([str(word) for word in command], result, environment=self._environment, folder=self._scratch)


def _size(folder: Path) -> int:
    """Size of what a server loads of a form: all files but the warm-up requests of TensorFlow Serving."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if not {"assets.extra", "__pycache__"} & set(file.parts))


def _in_short(finding: Exported) -> str:
    if finding.refused or finding.wrong:
        return finding.refused or finding.wrong
    return f"{finding.rounds[-1].forward_ms:.3f} ms"
