"""The SavedModel: the TensorFlow twin behind one serving signature, with TensorFlow Serving's warm-up records."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ExportError
from models.framework_messages import silence_framework_messages
from models.workload import Forward, TensorSpec, Weights, Workload

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
    tf = cpu_tensorflow()
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
    tf = cpu_tensorflow()
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


def load(folder: Path, input_: TensorSpec, output: TensorSpec) -> Forward:
    """Load the SavedModel back through its serving signature.

    Raises:
        ExportError: TensorFlow cannot load it, or the signature is missing or has other names.
    """
    tf = cpu_tensorflow()
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures[SIGNATURE]
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


def cpu_tensorflow() -> Any:
    """Import TensorFlow for the CPU, without its start-up messages."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    silence_framework_messages()
    import tensorflow as tf

    return tf
