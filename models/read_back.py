"""Reads the exports back, as servers do: for the parity check and the bare forward pass, and for no deployment.

It is apart from the modules that write them, because what a person writes to deploy a model is counted by those.
"""

import importlib.util
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import savedmodel
from models.errors import BrokenArtifactError, ExportError
from models.framework_messages import silence_framework_messages
from models.workload import Forward, TensorSpec


def saved_model(folder: Path, input_: TensorSpec, output: TensorSpec) -> Forward:
    """Load the SavedModel back through its serving signature.

    Raises:
        ExportError: TensorFlow cannot load it, or the signature is missing or has other names.
    """
    tf = cpu_tensorflow()
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures[savedmodel.SIGNATURE]
    except Exception as error:  # TensorFlow may raise anything here
        reason = " ".join(str(error).split())
        raise ExportError(f"the SavedModel cannot be loaded: {type(error).__name__}: {reason}") from error
    names = list(signature.structured_input_signature[1]), list(signature.structured_outputs)
    if names != ([input_.name], [output.name]):
        raise ExportError(f"the SavedModel's signature is {names[0]} -> {names[1]}, not {input_.name} -> {output.name}")

    def forward(inputs: NDArray[np.float32], _owner: Any = loaded) -> NDArray[np.float32]:
        # _owner keeps the variables alive, the signature alone does not.
        outputs: NDArray[np.float32] = signature(**{input_.name: tf.constant(inputs)})[output.name].numpy()
        return outputs

    return forward


def torch_form(folder: Path) -> Forward:
    """Load the form as a server does, through the loader that lies in `folder`.

    Raises:
        ExportError: It cannot be loaded; the message says why.
    """
    import torch

    try:
        spec = importlib.util.spec_from_file_location("artifact_load", folder / "load.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError(folder / "load.py")
        loader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loader)
        model = loader.load(folder)
    except Exception as error:  # the loader runs the workload's own code, which may raise anything
        reason = " ".join(str(error).split())
        raise ExportError(f"the PyTorch form cannot be loaded: {type(error).__name__}: {reason}") from error

    def forward(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            outputs: NDArray[np.float32] = model(torch.from_numpy(inputs)).numpy()
        return outputs

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
