"""SavedModel: the graph of `tf.function` with its weights on disk, run as it is or compiled by XLA."""

from pathlib import Path
from typing import Any, ClassVar

from models import read_back
from models.examples import Forward
from models.forms.form import Source
from models.forms.tf_eager import signature
from models.savedmodel import SIGNATURE
from models.workload import by_name


class TensorFlowSavedModel:
    """What TensorFlow Serving loads: the signature of a SavedModel."""

    name: ClassVar[str] = "saved-model"
    title: ClassVar[str] = "SavedModel signature"
    framework: ClassVar[str] = "tensorflow"
    xla: ClassVar[bool] = False

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        import tensorflow as tf

        twin = source.module()

        def serve(*inputs: Any) -> dict[str, Any]:
            return by_name(source.outputs, twin(*inputs))

        # An attribute of the module, or it is not saved.
        twin.serve = tf.function(serve, input_signature=signature(source), jit_compile=self.xla or None)
        tf.saved_model.save(twin, str(folder), signatures={SIGNATURE: twin.serve})

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        return read_back.saved_model(folder, source.inputs, source.outputs)


class TensorFlowXla(TensorFlowSavedModel):
    """A SavedModel whose function must be compiled by XLA, once for each shape of its inputs."""

    name: ClassVar[str] = "xla"
    title: ClassVar[str] = "SavedModel, XLA"
    xla: ClassVar[bool] = True
