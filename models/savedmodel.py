"""The SavedModel: the TensorFlow twin behind one serving signature, with TensorFlow Serving's warm-up records."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.workload import Weights, Workload

SIGNATURE = "serving_default"
WARMUP_BATCHES = (1, 32)


def write(workload: Workload, weights: Weights, warmup: NDArray[np.float32], folder: Path) -> None:
    """Write the SavedModel of `workload` to `folder`.

    Args:
        workload: Gives the twin, and the names and shapes of the signature.
        weights: What the twin takes over, in PyTorch's names and layouts.
        warmup: (n, *input.shape) inputs for the warm-up records.
        folder: The version folder, created.
    """
    import tensorflow as tf

    module = workload.twin(weights)
    shape = [None, *workload.input.shape]
    spec = tf.TensorSpec(shape, workload.input.dtype, name=workload.input.name)

    def serve(inputs: Any) -> dict[str, Any]:
        # The signature's shape binds Python callers only. TensorFlow Serving feeds what a client sent, and a
        # convolution of oneDNN ends the whole process (SIGABRT) when its input has the wrong rank.
        return {workload.output.name: module(tf.ensure_shape(inputs, shape))}

    module.serve = tf.function(serve, input_signature=[spec])  # an attribute of the module, or it is not saved
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.serve})
    _write_warmup(workload, warmup, folder / "assets.extra" / "tf_serving_warmup_requests")


def _write_warmup(workload: Workload, inputs: NDArray[np.float32], path: Path) -> None:
    """Write a TFRecord of PredictionLog, which TensorFlow Serving replays before it offers a version."""
    import tensorflow as tf
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for size in WARMUP_BATCHES:
            batch = np.resize(inputs, (size, *workload.input.shape))
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=workload.name, signature_name=SIGNATURE),
                inputs={workload.input.name: tf.make_tensor_proto(batch)},
            )
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            records.write(log.SerializeToString(deterministic=True))
