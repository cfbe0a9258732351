"""What the servers load, to hold the exports against: PyTorch's eager form and TensorFlow's SavedModel."""

from pathlib import Path

from models import read_back
from models.artifact_manifest import Manifest
from models.examples import Forward


def load_torch(folder: Path, manifest: Manifest) -> Forward:
    """The PyTorch form of an artifact, as Flask and TorchServe load it, on one thread."""
    import torch

    torch.set_num_threads(1)
    return read_back.torch_form(folder)


def load_tensorflow(folder: Path, manifest: Manifest) -> Forward:
    """The SavedModel of an artifact, as TensorFlow Serving loads it, on one thread."""
    tf = read_back.cpu_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return read_back.saved_model(folder, manifest.inputs, manifest.outputs)
