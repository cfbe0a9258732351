"""Build one artifact: train, export, check, write the manifest, and only then move it to its place."""

import fcntl
import hashlib
import importlib.metadata
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models import (
    example_files,
    export_parity,
    load_inputs,
    mar,
    pictures,
    read_back,
    savedmodel,
    torch_export,
    weights_file,
)
from models.artifact_manifest import SCHEMA_VERSION, Manifest, MeasuredQuality, check_files, read, scan, write
from models.errors import BrokenArtifactError, ExportError, QualityError
from models.example_files import PictureFiles
from models.examples import Examples, answers
from models.forms import deployed, sources
from models.recording import write as recording
from models.tensors import Tensors, TensorSpec, rows
from models.workload import Found, Workload, discover

PACKAGES = (
    "matplotlib",
    "numpy",
    "pillow",
    "safetensors",
    "scikit-learn",
    "seaborn",
    "tensorboard",
    "tensorflow",
    "tensorflow-serving-api",
    "torch",
    "torch-model-archiver",
)
REQUEST = "golden/request.json"
"""The first golden input as a request body, for curl."""

STAGING = ".building-"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """An artifact in its place, and whether this build made it."""

    folder: Path
    manifest: Manifest
    made: bool


def build(
    found: Found,
    root: Path,
    *,
    handler_files: tuple[Path, ...] = mar.HANDLER_FILES,
    forms: Sequence[str] = (),
    seeds: int = recording.SEEDS,
    force: bool = False,
    say: Say = lambda line: None,
) -> Built:
    """Build the artifact of a workload below `root`, unless it is there, intact and of the same sources.

    Args:
        found: The workload and its file.
        root: Folder of all artifacts, created.
        handler_files: TorchServe's handler and the modules it imports, for the .mar.
        forms: Forms that the artifact has to hold beside the eager one, of `deployed.DEPLOYABLE`.
        seeds: How many trainings are recorded for people to look at; that of the artifact is the first one.
        force: Build even when nothing changed.
        say: Receives a line at the start, and one for each stage at its end with the seconds that it took.

    Raises:
        ModelsError: The accuracy is too low, or an export fails or differs. Nothing half-made is left behind, and
            an artifact that was there stays.
    """
    workload = found.workload
    source = source_sha256(found, handler_files)
    folder = root / workload.name / str(workload.version)
    with _exclusive(root):
        if not force and (manifest := _intact(folder, source, forms)):
            return Built(folder, manifest, made=False)
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=root))
        try:
            manifest = _fill(
                workload, source, handler_files, forms, seeds, staging / "artifact", staging / "scratch", say
            )
            _move(staging / "artifact", folder, staging / "replaced")
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Built(folder, manifest, made=True)


def source_sha256(found: Found, handler_files: tuple[Path, ...] = mar.HANDLER_FILES) -> str:
    """Return a digest over what decides an artifact: shared modules, the workload's file, handler files, versions.

    Raises:
        ExportError: A handler file or a package is missing.
    """
    others = {other.source for other in discover().values()} - {found.source}
    shared = {path for path in Path(__file__).parent.rglob("*.py") if path not in others}
    digest = hashlib.sha256(repr(sorted(_versions().items())).encode())
    for path in [*sorted(shared | {found.source}), *mar.shipped(handler_files).values()]:
        digest.update(f"\n{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    try:
        packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise ExportError(f"package {error.name} is missing: pip install -e '.[models]'") from error
    return {"python": platform.python_version(), **packages}


@contextmanager
def _exclusive(root: Path) -> Iterator[None]:
    """Let one build at a time into `root`, and clear away what a killed one left."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in root.glob(f"{STAGING}*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield


def _intact(folder: Path, source: str, forms: Sequence[str]) -> Manifest | None:
    """Return the manifest of an artifact that need not be built again."""
    try:
        manifest = read(folder)
        check_files(folder, manifest)
    except BrokenArtifactError:
        return None
    held = all(deployed.in_artifact(name, manifest) for name in forms)
    return manifest if held and manifest.source_sha256 == source else None


def _fill(
    workload: Workload,
    source: str,
    handler_files: tuple[Path, ...],
    forms: Sequence[str],
    seeds: int,
    folder: Path,
    scratch: Path,
    say: Say,
) -> Manifest:
    """Make `folder` and in it every file of the artifact, checked."""
    folder.mkdir()
    say(f"{workload.name} v{workload.version}: building")
    done = _stage_clock(say)
    for file in workload.packaged_files:
        file.find()
    trained = workload.train(workload.seed)
    done(f"trained with seed {workload.seed}")
    golden, held_out = trained.golden, trained.held_out
    workload.check(golden)
    workload.check(held_out)
    weights_path = folder / "weights.safetensors"
    weights_file.write(weights_path, trained.weights)
    stored = weights_file.read(weights_path)  # read back, so that everything below uses what was written

    def answer(examples: Examples) -> Tensors:
        return answers(lambda inputs: workload.answer(stored, inputs), examples, workload.inputs)

    promised = workload.quality
    answered = answer(held_out)
    value = promised.measure(answered, held_out)
    done(f"{promised.name} on {held_out.size} held-out examples: {value:.4f} (at least {promised.at_least:g})")
    if not value >= promised.at_least:
        raise QualityError(f"{workload.name}: {promised.name} {value:.4f} is below the promised {promised.at_least:g}")

    load, fresh = load_inputs.make(workload, held_out)
    files = {
        kind: example_files.write(folder, kind, examples, answer(examples))
        for kind, examples in (("golden", golden), ("load", load), ("fresh", fresh))
    }
    request = {"instances": rows(workload.inputs, golden.repeated(0, workload.inputs))}
    (folder / REQUEST).write_text(json.dumps(request) + "\n", encoding="utf-8")
    shown = dict[str, PictureFiles]()
    if pictures.taken_by(workload.inputs):
        sets = dict(zip(example_files.KINDS, (golden, *pictures.of_load(load, fresh)), strict=True))
        shown = _write_pictures(folder, workload.inputs[0], sets, answer)
    done(f"{load.size:,} inputs for load tests and {fresh.size:,} that no ordinary run sends")

    name, version, form = workload.name, workload.version, folder / "torch"
    read_back.cpu_tensorflow()  # before the export imports it
    first = _first_of_each(folder, workload.inputs[0], shown)
    savedmodel.write(workload, stored, golden, folder / "saved_model" / str(version), first)
    done("exported the SavedModel")
    torch_export.write(workload, weights_path, form)
    mar.write(name, version, form, handler_files, folder / "model_store", scratch)
    done("exported the PyTorch form and the .mar")
    for more in forms:
        deployed.build(more, sources.of_torch_form(form, workload.inputs, workload.outputs, golden), folder)
        done(f"built the form {more}")

    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        workload=name,
        version=version,
        description=workload.description,
        inputs=workload.inputs,
        outputs=workload.outputs,
        labels=workload.class_names,
        max_instances=workload.max_instances,
        max_request_bytes=workload.max_request_bytes,
        seed=workload.seed,
        quality=MeasuredQuality(promised.name, value, promised.at_least, held_out.size),
        tolerance=workload.tolerance,
        torch_form=torch_export.NAME,
        packaged_files=workload.packaged_files,
        versions=_versions(),
        source_sha256=source,
        pictures=shown,
        files=scan(folder),
        **files,
    )
    differences = export_parity.check(folder, manifest)
    told = ", ".join(f"{export} {worst:.2g}" for export, worst in differences.items())
    done(f"parity, largest differences: {told} (allowed {workload.tolerance:g})")
    recording.write(workload, stored, trained, answered, folder, seeds=seeds, say=done)
    manifest = replace(manifest, files=scan(folder))
    write(folder, manifest)
    return manifest


def _write_pictures(
    folder: Path, spec: TensorSpec, sets: Mapping[str, Examples], answer: Callable[[Examples], Tensors]
) -> dict[str, PictureFiles]:
    """Write the pictures of each set of examples in every format, and the first golden one as a file for curl."""
    written = {}
    for form in pictures.FORMATS:
        files = {}
        for kind, examples in sets.items():
            encoded, decoded = pictures.made_of(examples, spec, form)
            files[kind] = example_files.write(folder, f"pictures/{form.name}/{kind}", encoded, answer(decoded))
            if kind == "golden":
                (folder / f"golden/picture.{form.name}").write_bytes(encoded.inputs[spec.name][0])
        written[form.name] = PictureFiles(**files)
    return written


def _first_of_each(folder: Path, spec: TensorSpec, forms: Iterable[str]) -> dict[str, Tensors]:
    """The first golden picture of each format, as an input of its signature."""
    files = {form: (folder / f"golden/picture.{form}").read_bytes() for form in forms}
    return {form: {spec.name: np.array([file], np.object_)} for form, file in files.items()}


def _stage_clock(say: Say) -> Say:
    """Return a function that says a line behind the seconds since its last call, or since this one."""
    start = time.perf_counter()

    def done(line: str) -> None:
        nonlocal start
        now = time.perf_counter()
        say(f"{now - start:6.1f} s  {line}")
        start = now

    return done


def _move(new: Path, place: Path, aside: Path) -> None:
    """Put `new` at `place` by renaming; what was there goes to `aside` first."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(aside)
    new.rename(place)
