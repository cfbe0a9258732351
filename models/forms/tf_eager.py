"""TensorFlow's eager mode and `tf.function`: the twin's Python code, run on every call or traced once into a graph."""

from pathlib import Path
from typing import Any, ClassVar

from models.examples import Forward
from models.forms.calling import copy_files, over_tensorflow
from models.forms.form import Source


def signature(source: Source) -> list[Any]:
    """The inputs of a `tf.function` that takes batches of any size."""
    import tensorflow as tf

    return [tf.TensorSpec([None, *spec.shape], spec.dtype, name=spec.name) for spec in source.inputs]


class TensorFlowEager:
    """The twin itself, its code and weights on disk."""

    name: ClassVar[str] = "tf-eager"
    title: ClassVar[str] = "TensorFlow eager"
    framework: ClassVar[str] = "tensorflow"

    def build(self, source: Source, folder: Path) -> None:
        """See Form."""
        copy_files(source, folder)

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        return over_tensorflow(source.module(), source)


class TensorFlowFunction(TensorFlowEager):
    """The twin behind `tf.function`, which makes a graph at the first call."""

    name: ClassVar[str] = "tf-function"
    title: ClassVar[str] = "tf.function"

    def load(self, source: Source, folder: Path) -> Forward:
        """See Form."""
        import tensorflow as tf

        twin = source.module()

        def call(*inputs: Any) -> Any:
            return twin(*inputs)

        return over_tensorflow(tf.function(call, input_signature=signature(source)), source)
