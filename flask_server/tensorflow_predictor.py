"""The forward pass under TensorFlow: the artifact's SavedModel."""

from typing import Any

import numpy as np
import tensorflow as tf

from flask_server.predict_body import Tensors
from flask_server.predictor import BuiltModel


class TensorFlowPredictor:
    """The artifact's SavedModel, through its signature `serving_default`: what TensorFlow Serving calls too."""

    def __init__(self, artifact: BuiltModel, threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        # Kept, because the signature alone does not keep its variables alive.
        self._saved_model = tf.saved_model.load(str(artifact.folder / "saved_model" / str(artifact.version)))
        self._signature = self._saved_model.signatures["serving_default"]
        self._outputs = [spec.name for spec in artifact.interface.outputs]

    def predict(self, inputs: Tensors) -> Tensors:
        """See Predictor."""
        outputs = self._signature(**{name: tf.constant(array) for name, array in inputs.items()})
        arrays = {name: outputs[name].numpy() for name in self._outputs}
        # TensorFlow keeps text as bytes.
        return {
            name: np.char.decode(a.astype(np.bytes_), "utf-8") if a.dtype == object else a for name, a in arrays.items()
        }

    def describe(self) -> dict[str, Any]:
        """See Predictor."""
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        return {"name": "tensorflow", "version": tf.__version__, "threads": threads}
