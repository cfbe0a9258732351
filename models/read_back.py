"""Reads the exports back, as servers do: for the parity check and the bare forward pass, and for no deployment.

It is apart from the modules that write them, because what a person writes to deploy a model is counted by those.
"""

import importlib.util
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import savedmodel
from models.errors import BrokenArtifactError, ExportError
from models.examples import Forward
from models.framework_messages import silence_framework_messages
from models.tensors import Tensors, TensorSpec


def saved_model(
    folder: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], name: str = savedmodel.SIGNATURE
) -> Forward:
    """Load the SavedModel back through one of its signatures.

    Args:
        folder: The version folder.
        inputs: The inputs of the model.
        outputs: Its outputs.
        name: The signature; through `serving_bytes` the inputs are arrays of octets.

    Raises:
        ExportError: TensorFlow cannot load it, or the signature is missing or has other names.
    """
    tf = cpu_tensorflow()
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures[name]
    except Exception as error:  # TensorFlow may raise anything here
        reason = " ".join(str(error).split())
        raise ExportError(f"the SavedModel cannot be loaded: {type(error).__name__}: {reason}") from error
    found = sorted(signature.structured_input_signature[1]), sorted(signature.structured_outputs)
    wanted = sorted(spec.name for spec in inputs), sorted(spec.name for spec in outputs)
    if found != wanted:
        raise ExportError(f"the SavedModel's {name} is {found[0]} -> {found[1]}, not {wanted[0]} -> {wanted[1]}")

    def forward(tensors: Tensors, _owner: Any = loaded) -> Tensors:
        # _owner keeps the variables alive, the signature alone does not.
        answered = signature(**{name: tf.constant(array) for name, array in tensors.items()})
        return {spec.name: _array(answered[spec.name].numpy()) for spec in outputs}

    return forward


def _array(value: NDArray[Any]) -> NDArray[Any]:
    """Text as `str`, which TensorFlow keeps as bytes in UTF-8."""
    return np.char.decode(value.astype(np.bytes_), "utf-8") if value.dtype.kind == "O" else value


def torch_form(folder: Path) -> Forward:
    """Load the form as a server does, through the loader that lies in `folder`.

    Raises:
        ExportError: It cannot be loaded; the message says why.
    """
    try:
        spec = importlib.util.spec_from_file_location("artifact_load", folder / "load.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError(folder / "load.py")
        loader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loader)
        forward: Forward = loader.load_predictor(folder)
    except Exception as error:  # the loader runs the workload's own code, which may raise anything
        reason = " ".join(str(error).split())
        raise ExportError(f"the PyTorch form cannot be loaded: {type(error).__name__}: {reason}") from error
    return forward


def unpack_mar(archive: Path, folder: Path) -> None:
    """Unpack `archive` into `folder`, as TorchServe does before it loads.

    Raises:
        BrokenArtifactError: It is missing or no archive.
    """
    try:
        with zipfile.ZipFile(archive) as mar:
            mar.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise BrokenArtifactError(f"{archive.name} is not a model archive: {error}") from error


def cpu_tensorflow() -> Any:
    """Import TensorFlow for the CPU, without its start-up messages."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    silence_framework_messages()
    import tensorflow as tf

    return tf
