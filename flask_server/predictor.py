"""Who runs the forward pass: the same artifact under PyTorch or under TensorFlow.

Each has a module of its own, imported only when its predictor is made: a deployment installs and keeps the one it uses.
"""

import hashlib
import importlib
import json
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from flask_server.predict_body import Interface, Tensors

REBUILD = "python -m models build --force"
SCHEMA_VERSION = 5
SCHEMA_KEYS = (
    "schema_version workload version description inputs outputs labels max_instances max_request_bytes seed quality "
    "tolerance torch_form packaged_files versions source_sha256 golden load fresh pictures files"
)
"""The keys of a manifest of this schema, separated by spaces; a key beyond them may change what the others mean."""

log = logging.getLogger(__name__)


class BuiltModelError(Exception):
    """The artifact cannot be served; the message says what to do about it."""


@dataclass(frozen=True)
class BuiltModel:
    """A built model on disk, as its manifest.json describes it.

    Attributes:
        folder: Artifacts/<workload>/<version>.
        workload: Name of the model.
        version: Its version.
        interface: What goes in and what comes out.
        max_request_bytes: How large a body may be.
        sha256: Digest of each file, by its path in `folder`.
    """

    folder: Path
    workload: str
    version: int
    interface: Interface
    max_request_bytes: int
    sha256: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "BuiltModel":
        """Read the manifest in `folder`.

        Raises:
            BuiltModelError: There is none, or it is not one.
        """
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            _check_schema(folder / "manifest.json", manifest["schema_version"], manifest.keys() - SCHEMA_KEYS.split())
            return cls(
                folder=folder,
                workload=manifest["workload"],
                version=manifest["version"],
                interface=Interface.read(manifest),
                max_request_bytes=int(manifest["max_request_bytes"]),
                sha256={name: entry["sha256"] for name, entry in manifest["files"].items()},
            )
        except FileNotFoundError:
            raise BuiltModelError(f"no model at {folder}: run `python -m models build` first") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            path = folder / "manifest.json"
            raise BuiltModelError(f"{path} is not a manifest ({error!r}): run `{REBUILD}`") from None

    def check(self, prefix: str, build: str = REBUILD) -> None:
        """Compare the files whose path starts with `prefix` with the manifest.

        Args:
            prefix: How their paths start.
            build: The command that makes them.

        Raises:
            BuiltModelError: One is missing or was altered, or there is none.
        """
        names = [name for name in self.sha256 if name.startswith(prefix)]
        if not names:
            raise BuiltModelError(f"{self.folder / 'manifest.json'} lists no file {prefix}*: run `{build}`")
        for name in names:
            path = self.folder / name
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise BuiltModelError(f"{path} cannot be read ({error.strerror}): run `{REBUILD}`") from None
            if digest != self.sha256[name]:
                raise BuiltModelError(f"{path} was altered since it was built: run `{REBUILD}`")


def _check_schema(path: Path, version: object, unknown: set[str]) -> None:
    if version != SCHEMA_VERSION:
        raise BuiltModelError(f"{path} has schema {version}, not {SCHEMA_VERSION}: run `{REBUILD}`")
    if unknown:
        raise BuiltModelError(f"{path} holds what schema {version} does not: {', '.join(unknown)}: run `{REBUILD}`")


class Predictor(Protocol):
    """A loaded model. Safe to call from several threads at once."""

    def predict(self, inputs: Tensors) -> Tensors:
        """Run one forward pass: arrays (n, *shape) by the names of inputs and of outputs."""

    def describe(self) -> dict[str, Any]:
        """Return framework, version and the thread counts in effect, as the framework reports them."""


@dataclass(frozen=True)
class Runtime:
    """A framework that can run the forward pass.

    Attributes:
        module: Where its predictor stands.
        predictor: Its class.
        files: How the paths of the artifact's files start that it loads.
        build: The command that makes these files; a template over ``workload``.
        compiles: Whether it needs a C++ compiler when it runs.
    """

    module: str
    predictor: str
    files: str
    build: str = REBUILD
    compiles: bool = False

    def check(self, artifact: BuiltModel) -> None:
        """Look for what would keep it from loading the artifact.

        Raises:
            BuiltModelError: A file is missing or was altered, or there is no compiler.
        """
        artifact.check(self.files, self.build.format(workload=artifact.workload))
        compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
        if self.compiles and not shutil.which(compiler):
            raise BuiltModelError(f"torch.compile needs a C++ compiler: install {compiler}, or name one in $CXX")

    def load(self, artifact: BuiltModel, threads: int) -> Predictor:
        """Import the framework and load the artifact, to compute with so many threads."""
        made = getattr(importlib.import_module(self.module), self.predictor)(artifact, threads)
        return cast(Predictor, made)


RUNTIMES = {
    "torch": Runtime("flask_server.torch_predictor", "TorchPredictor", "torch/"),
    "torch_compiled": Runtime("flask_server.compiled_predictor", "CompiledPredictor", "torch/", compiles=True),
    "torch_aotinductor": Runtime(
        "flask_server.aotinductor_predictor",
        "AotInductorPredictor",
        "forms/aotinductor/",
        build="python -m models build {workload} --forms aotinductor",
    ),
    "tensorflow": Runtime("flask_server.tensorflow_predictor", "TensorFlowPredictor", "saved_model/"),
}


def find_model(folder: Path, runtime: str) -> BuiltModel:
    """Find the artifact to serve: the one in `folder`, or the newest sound one of the versions in it.

    Args:
        folder: A folder of an artifact, or one whose folders of artifacts are named by their versions.
        runtime: A name in `RUNTIMES`, which is to load it.

    Raises:
        BuiltModelError: There is none; of several that cannot be served it says what is wrong with the newest.
    """
    versions = [one.parent for one in folder.glob("*/manifest.json") if one.parent.name.isdigit()]
    if (folder / "manifest.json").exists() or not versions:
        return _checked(folder, runtime)
    faults = []
    for version in sorted(versions, key=lambda one: int(one.name), reverse=True):
        try:
            return _checked(version, runtime)
        except BuiltModelError as error:
            log.error("version %s is passed over: %s", version.name, error)
            faults.append(error)
    raise faults[0]


def _checked(folder: Path, runtime: str) -> BuiltModel:
    artifact = BuiltModel.read(folder)
    RUNTIMES[runtime].check(artifact)
    return artifact
