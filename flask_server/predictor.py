"""Who runs the forward pass: the same artifact under PyTorch or under TensorFlow.

Either framework is imported only when its predictor is made, so a deployment installs the one it uses.
"""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

REBUILD = "python -m models build --force"
SCHEMA_VERSION = 3
SCHEMA_KEYS = (
    "schema_version workload version description input output labels max_instances seed accuracy held_out tolerance "
    "torch_form versions source_sha256 golden load files"
)
"""The keys of a manifest of this schema, separated by spaces; a key beyond them may change what the others mean."""

Batch = npt.NDArray[np.float32]


class BuiltModelError(Exception):
    """The artifact cannot be served; the message says what to do about it."""


@dataclass(frozen=True)
class BuiltModel:
    """A built model on disk, as its manifest.json describes it.

    Attributes:
        folder: Artifacts/<workload>/<version>.
        workload: Name of the model.
        version: Its version.
        input_name: Input of the SavedModel's signature.
        input_shape: Shape of one instance, without the batch dimension.
        output_name: Output of the SavedModel's signature.
        max_instances: How many instances one request may hold.
        sha256: Digest of each file, by its path in `folder`.
    """

    folder: Path
    workload: str
    version: int
    input_name: str
    input_shape: tuple[int, ...]
    output_name: str
    max_instances: int
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
                input_name=manifest["input"]["name"],
                input_shape=tuple(manifest["input"]["shape"]),
                output_name=manifest["output"]["name"],
                max_instances=int(manifest["max_instances"]),
                sha256={name: entry["sha256"] for name, entry in manifest["files"].items()},
            )
        except FileNotFoundError:
            raise BuiltModelError(f"no model at {folder}: run `python -m models build` first") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            path = folder / "manifest.json"
            raise BuiltModelError(f"{path} is not a manifest ({error!r}): run `{REBUILD}`") from None

    def check(self, prefix: str) -> None:
        """Compare the files whose path starts with `prefix` with the manifest.

        Raises:
            BuiltModelError: One is missing or was altered, or there is none.
        """
        names = [name for name in self.sha256 if name.startswith(prefix)]
        if not names:
            raise BuiltModelError(f"{self.folder / 'manifest.json'} lists no file {prefix}*: run `{REBUILD}`")
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

    def predict(self, instances: Batch) -> Batch:
        """Run one forward pass: (n, *input shape) -> (n, *output shape)."""

    def describe(self) -> dict[str, Any]:
        """Return framework, version and the thread counts in effect, as the framework reports them."""


class TorchPredictor:
    """The artifact's torch/ folder, through the loader that it brings."""

    FILES = "torch/"
    """How the paths of the files start that it loads."""

    def __init__(self, artifact: BuiltModel, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        folder = artifact.folder / "torch"
        spec = importlib.util.spec_from_file_location("artifact_load", folder / "load.py")
        assert spec is not None  # a path that ends in .py always has a loader
        assert spec.loader is not None
        loader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loader)
        self._torch = torch
        self._model = loader.load(folder)

    def predict(self, instances: Batch) -> Batch:
        """See Predictor."""
        with self._torch.inference_mode():
            outputs: Batch = self._model(self._torch.from_numpy(instances)).numpy()
        return outputs

    def describe(self) -> dict[str, Any]:
        """See Predictor."""
        return {"name": "torch", "version": self._torch.__version__, "threads": self._torch.get_num_threads()}


class TensorFlowPredictor:
    """The artifact's SavedModel, through its signature `serving_default`: what TensorFlow Serving calls too."""

    FILES = "saved_model/"
    """See TorchPredictor."""

    def __init__(self, artifact: BuiltModel, threads: int) -> None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._tf = tf
        # Kept, because the signature alone does not keep its variables alive.
        self._saved_model = tf.saved_model.load(str(artifact.folder / "saved_model" / str(artifact.version)))
        self._signature = self._saved_model.signatures["serving_default"]
        self._input, self._output = artifact.input_name, artifact.output_name

    def predict(self, instances: Batch) -> Batch:
        """See Predictor."""
        outputs: Batch = self._signature(**{self._input: self._tf.constant(instances)})[self._output].numpy()
        return outputs

    def describe(self) -> dict[str, Any]:
        """See Predictor."""
        threads = self._tf.config.threading.get_intra_op_parallelism_threads()
        return {"name": "tensorflow", "version": self._tf.__version__, "threads": threads}


PREDICTORS: dict[str, type[TorchPredictor] | type[TensorFlowPredictor]] = {
    "torch": TorchPredictor,
    "tensorflow": TensorFlowPredictor,
}
