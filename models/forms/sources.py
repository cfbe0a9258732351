"""Where the Python code of a model comes from: an artifact, for either framework."""

from pathlib import Path
from typing import Any

from models import example_files, weights_file
from models.artifact_manifest import Manifest
from models.examples import Examples
from models.forms.form import Source
from models.tensors import TensorSpec
from models.workload import find

FRAMEWORKS = ("torch", "tensorflow")


def of_artifact(framework: str, folder: Path, manifest: Manifest) -> Source:
    """The model of an artifact as code of `framework`, with its first golden example, twice.

    Args:
        framework: One of `FRAMEWORKS`.
        folder: The artifact.
        manifest: Its manifest.

    Raises:
        WorkloadError: The workload is unknown here, and with it the code of its TensorFlow twin.
        BrokenArtifactError: A file of the artifact cannot be read.
    """
    golden, _ = example_files.read(folder, manifest.golden)
    if framework == "torch":
        return of_torch_form(folder / "torch", manifest.inputs, manifest.outputs, golden)
    found, weights = find(manifest.workload), folder / "weights.safetensors"
    files = (found.source, weights)

    def twin() -> Any:
        return found.workload.twin(weights_file.read(weights))

    return Source(twin, manifest.inputs, manifest.outputs, golden.repeated(0, manifest.inputs, 2), files)


def of_torch_form(
    folder: Path, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], golden: Examples
) -> Source:
    """The model as the PyTorch code in `folder`, which `models.torch_export` wrote."""

    def module() -> Any:
        from models.shipped.load import load

        return load(folder)

    files = tuple(folder / name for name in ("network.py", "weights.safetensors"))
    return Source(module, inputs, outputs, golden.repeated(0, inputs, 2), files)
