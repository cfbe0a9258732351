"""Reads what `python -m models build` left in artifacts/, without any framework."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.errors import ArtifactError, UsageError
from loadtest.servers.examples import Examples
from loadtest.servers.expectation import Golden
from loadtest.servers.manifest import EXAMPLES, WEIGHTS, ManifestError, read_manifest

ROOT = Path(__file__).resolve().parents[2]


TENSORS = "tensors"
"""What examples are made of that are no encoded pictures."""


@dataclass(frozen=True)
class ExampleSets:
    """The sets of examples of one format of pictures; each input is an array (n,) of files as ``bytes``.

    Attributes:
        golden: As in `Artifact`.
        load: As in `Artifact`.
        fresh: As in `Artifact`.
    """

    golden: Examples
    load: Examples
    fresh: Examples


@dataclass(frozen=True)
class Artifact:
    """A built model.

    Attributes:
        folder: ``artifacts/<workload>/<version>``.
        manifest: The parsed manifest.json.
        golden: The few examples that parity is checked with.
        load: The many that servers are put under load with.
        fresh: Further ones, that no ordinary run sends.
        pictures: Those sets as encoded pictures, by their format; none where the model takes no pictures.
    """

    folder: Path
    manifest: dict[str, Any]
    golden: Examples
    load: Examples
    fresh: Examples
    pictures: Mapping[str, ExampleSets] = field(default_factory=dict)

    def carried_as(self, kind: str) -> "Artifact":
        """The same model with other examples.

        Args:
            kind: `TENSORS`, or a format of pictures, such as ``png``.

        Raises:
            UsageError: If there are none of this kind.
        """
        if kind == TENSORS:
            return self
        if kind not in self.pictures:
            raise UsageError(f"{self.workload} takes no {kind} pictures")
        return replace(self, **vars(self.pictures[kind]))

    @property
    def workload(self) -> str:
        """Name of the workload."""
        return str(self.manifest["workload"])

    @property
    def version(self) -> str:
        """Version of the model."""
        return str(self.manifest["version"])

    @property
    def weights_sha256(self) -> str:
        """Digest of the weights that every export was made from."""
        return str(self.manifest["files"][WEIGHTS]["sha256"])

    @property
    def tolerance(self) -> float:
        """Largest absolute difference from the golden output that counts as the same answer."""
        return self.golden.tolerance

    @property
    def output_names(self) -> list[str]:
        """Names of the model's outputs."""
        return [str(one["name"]) for one in self.manifest["outputs"]]

    @property
    def input_names(self) -> list[str]:
        """Names of the model's inputs."""
        return [str(one["name"]) for one in self.manifest["inputs"]]

    @property
    def max_instances(self) -> int:
        """How many instances one request may hold."""
        return int(self.manifest["max_instances"])

    @property
    def shapes(self) -> str:
        """``fixed``, or ``varying`` where inputs of the model vary in length."""
        return "varying" if self.golden.axes else "fixed"

    @property
    def size(self) -> int:
        """Number of golden examples."""
        return self.golden.size

    def bodies(self, batch: int = 1) -> list[bytes]:
        """JSON request bodies that together hold every golden input once.

        Args:
            batch: Instances in one request.
        """
        return self.golden.bodies(batch)

    def example_body(self) -> bytes:
        """The JSON request body of golden example 0 alone."""
        return self.golden.part(0, 1).bodies()[0]

    def expectation(self, batch: int = 1) -> Golden:
        """The check of the answers to `bodies`."""
        return self.golden.expectation(batch)


def artifacts_root() -> Path:
    """The folder of all artifacts: $BAKEOFF_ARTIFACTS, or ``artifacts`` in the project."""
    return Path(os.environ.get("BAKEOFF_ARTIFACTS") or ROOT / "artifacts")


def built_workloads(root: Path | None = None) -> list[str]:
    """Names of the workloads that were built, in alphabetical order.

    Args:
        root: The folder of all artifacts; default: `artifacts_root`.
    """
    return sorted({path.parent.parent.name for path in (root or artifacts_root()).glob("*/*/manifest.json")})


def load_artifact(workload: str, root: Path | None = None) -> Artifact:
    """Read the newest version of a workload's artifact and check every file against the manifest.

    Args:
        workload: For example ``digits``.
        root: The folder of all artifacts; default: `artifacts_root`.

    Raises:
        ArtifactError: If it was never built, or its manifest is none, or a file is missing, altered or not listed.
    """
    root = root or artifacts_root()
    built = sorted(
        (path.parent for path in root.glob(f"{_plain(workload)}/*/manifest.json") if path.parent.name.isdigit()),
        key=lambda folder: int(folder.name),
    )
    if not built:
        known = built_workloads(root)
        have = f"built so far: {', '.join(known)}" if known else "nothing is built yet"
        raise ArtifactError(
            f"no artifact of workload {workload!r} in {root} ({have}): python -m models build {workload}"
        )
    return read_artifact(built[-1])


def _plain(workload: str) -> str:
    if not workload.replace("_", "").replace("-", "").isalnum():
        raise ArtifactError(f"{workload!r} is not the name of a workload")
    return workload


def read_artifact(folder: Path) -> Artifact:
    """Read the artifact in a folder and check every file against the manifest.

    Args:
        folder: ``artifacts/<workload>/<version>``.

    Raises:
        ArtifactError: If its manifest is none, or a file is missing, altered or not listed.
    """
    rebuild = f"python -m models build {folder.parent.name} --force"
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        raise ArtifactError(f"{folder}: {error}: {rebuild}") from error
    tolerance, name = float(manifest["tolerance"]), manifest["workload"]

    axes = {one["name"]: 1 + one["shape"].index(None) for one in manifest["inputs"] if None in one["shape"]}

    def load(kind: str, file: str) -> Any:
        try:
            return np.load(folder / file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"the {kind} examples in {folder} cannot be read ({error}): {rebuild}") from error

    def examples(kind: str, files: Mapping[str, Any]) -> Examples:
        inputs, outputs = ({one: load(kind, at) for one, at in files[side].items()} for side in ("inputs", "outputs"))
        lengths = None if files["lengths"] is None else load(kind, files["lengths"])
        sizes = {len(array) for array in inputs.values()}
        answers = {len(array) for array in (*outputs.values(), *(() if lengths is None else (lengths,)))}
        if sizes != answers or len(sizes) != 1 or 0 in sizes:
            told = [" and ".join(map(str, sorted(some))) for some in (sizes, answers)]
            raise ArtifactError(f"{folder} has {told[0]} {kind} inputs and {told[1]} outputs: {rebuild}")
        return Examples(inputs, outputs, tolerance, f"the {kind} examples of {name}", lengths, axes)

    sets = {kind: examples(kind, manifest[kind]) for kind in EXAMPLES}
    pictures = {
        form: ExampleSets(**{kind: examples(f"{kind} {form}", files[kind]) for kind in EXAMPLES})
        for form, files in manifest["pictures"].items()
    }
    return Artifact(folder, manifest, **sets, pictures=pictures)
