"""The forward pass under TensorFlow: the artifact's SavedModel."""

from typing import Any

import tensorflow as tf

from flask_server.predictor import Batch, BuiltModel


class TensorFlowPredictor:
    """The artifact's SavedModel, through its signature `serving_default`: what TensorFlow Serving calls too."""

    def __init__(self, artifact: BuiltModel, threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        # Kept, because the signature alone does not keep its variables alive.
        self._saved_model = tf.saved_model.load(str(artifact.folder / "saved_model" / str(artifact.version)))
        self._signature = self._saved_model.signatures["serving_default"]
        self._input, self._output = artifact.input_name, artifact.output_name

    def predict(self, instances: Batch) -> Batch:
        """See Predictor."""
        outputs: Batch = self._signature(**{self._input: tf.constant(instances)})[self._output].numpy()
        return outputs

    def describe(self) -> dict[str, Any]:
        """See Predictor."""
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        return {"name": "tensorflow", "version": tf.__version__, "threads": threads}
