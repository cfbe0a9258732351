"""SavedModel: the graph of `tf.function` with its weights on disk, run as it is or compiled by XLA."""

from pathlib import Path
from typing import Any, ClassVar

from models import read_back
from models.examples import Forward
from models.forms.form import Source
from models.savedmodel import SIGNATURE
from models.workload import by_name


def _save(source: Source, folder: Path, *, xla: bool) -> None:
    import tensorflow as tf

    twin = source.module()

    def serve(*inputs: Any) -> dict[str, Any]:
        return by_name(source.outputs, twin(*inputs))

    signature = [tf.TensorSpec([None, *spec.shape], spec.dtype, name=spec.name) for spec in source.inputs]
    # An attribute of the module, or it is not saved.
    twin.serve = tf.function(serve, input_signature=signature, jit_compile=True if xla else None)
    tf.saved_model.save(twin, str(folder), signatures={SIGNATURE: twin.serve})


class TensorFlowSavedModel:
    """What TensorFlow Serving loads: the signature of a SavedModel."""

    name: ClassVar[str] = "saved-model"
    title: ClassVar[str] = "SavedModel signature"
    framework: ClassVar[str] = "tensorflow"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        _save(source, folder, xla=False)

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        return read_back.saved_model(folder, source.inputs, source.outputs)


class TensorFlowXla:
    """A SavedModel whose function must be compiled by XLA, once for each shape of its inputs."""

    name: ClassVar[str] = "xla"
    title: ClassVar[str] = "SavedModel, XLA"
    framework: ClassVar[str] = "tensorflow"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        _save(source, folder, xla=True)

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        return read_back.saved_model(folder, source.inputs, source.outputs)
