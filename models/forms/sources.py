"""Where the Python code of a model comes from: an artifact, for either framework."""

from pathlib import Path
from typing import Any

from models import example_files, weights_file
from models.artifact_manifest import Manifest
from models.forms.form import Source
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
    example = golden.repeated(0, manifest.inputs, 2)
    if framework == "torch":
        files = tuple(folder / "torch" / name for name in ("network.py", "weights.safetensors"))
        return Source(lambda: _torch_module(folder / "torch"), manifest.inputs, manifest.outputs, example, files)
    found, weights = find(manifest.workload), folder / "weights.safetensors"
    files = (found.source, weights)

    def twin() -> Any:
        return found.workload.twin(weights_file.read(weights))

    return Source(twin, manifest.inputs, manifest.outputs, example, files)


def _torch_module(folder: Path) -> Any:
    from models.shipped.load import load

    return load(folder)
