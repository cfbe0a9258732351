"""The SavedModel: the TensorFlow twin behind its serving signatures, with TensorFlow Serving's warm-up records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models import picture_signatures, serving_bytes
from models.examples import Examples
from models.tensors import Tensors, TensorSpec
from models.workload import Weights, Workload, by_name

SIGNATURE = "serving_default"
WARMUP_BATCHES = (1, 32)


def write(
    workload: Workload,
    weights: Weights,
    warmup: Examples,
    folder: Path,
    pictures: Mapping[str, Tensors] | None = None,
) -> None:
    """Write the SavedModel of `workload` to `folder`.

    Its signatures are `serving_default`, where it is offered `serving_bytes`, and those of `pictures`.

    Args:
        workload: Gives the twin, and the names and shapes of the signatures.
        weights: What the twin takes over, in PyTorch's names and layouts.
        warmup: Inputs for the warm-up records.
        folder: The version folder, created.
        pictures: Of a model that takes encoded pictures, one of each format for the warm-up records.
    """
    import tensorflow as tf

    module = workload.twin(weights)

    def serve(*inputs: Any) -> dict[str, Any]:
        checked = _checked(workload.inputs, inputs)
        return by_name(workload.outputs, module(*checked))

    signature = [tf.TensorSpec([None, *spec.shape], spec.dtype, name=spec.name) for spec in workload.inputs]
    module.serve = tf.function(serve, input_signature=signature)  # an attribute of the module, or it is not saved
    signatures = {SIGNATURE: module.serve}
    if serving_bytes.offered(workload.inputs):

        def serve_bytes(*octets: Any) -> Any:
            return module.serve(*serving_bytes.decoded(workload.inputs, octets))  # called, so that it is saved once

        strings = [tf.TensorSpec([None], "string", name=spec.name) for spec in workload.inputs]
        module.serve_bytes = tf.function(serve_bytes, input_signature=strings)
        signatures[serving_bytes.SIGNATURE] = module.serve_bytes
    for form in pictures or {}:
        name = picture_signatures.SIGNATURES[form]
        served = _of_pictures(module, workload.inputs[0], form)
        setattr(module, name, served)
        signatures[name] = served
    tf.saved_model.save(module, str(folder), signatures=signatures)
    _write_warmup(workload, warmup, pictures or {}, folder / "assets.extra" / "tf_serving_warmup_requests")


def _of_pictures(module: Any, spec: TensorSpec, form: str) -> Any:
    """The function of a signature that takes pictures of one format."""
    import tensorflow as tf

    def serve(files: Any) -> Any:
        return module.serve(picture_signatures.decoded(spec, form, files))

    return tf.function(serve, input_signature=[tf.TensorSpec([None], "string", name=spec.name)])


def _checked(specs: Sequence[TensorSpec], inputs: Sequence[Any]) -> list[Any]:
    """The inputs, behind checks in the graph.

    The signature's shape binds Python callers only. TensorFlow Serving feeds what a client sent, and a convolution of
    oneDNN ends the whole process (SIGABRT) when its input has the wrong rank.
    """
    import tensorflow as tf

    shaped = [tf.ensure_shape(tensor, [None, *spec.shape]) for spec, tensor in zip(specs, inputs, strict=True)]
    checks = []
    varying = [(spec, tf.shape(tensor)[spec.axis]) for spec, tensor in zip(specs, shaped, strict=True) if spec.lengths]
    for spec, length in varying:
        least, most = spec.lengths or (0, 0)
        told = f"{spec.name} must have a length from {least} to {most}"
        first, others_length = varying[0]
        same = f"{first.name} and {spec.name} must have the same length"
        checks += [
            tf.debugging.assert_greater_equal(length, least, told),
            tf.debugging.assert_less_equal(length, most, told),
            tf.debugging.assert_equal(length, others_length, same),
        ]
    for spec, tensor in zip(specs, shaped, strict=True):
        told = f"{spec.name} holds a value out of range"
        if spec.minimum is not None:
            checks += [tf.debugging.assert_greater_equal(tensor, tf.constant(spec.minimum, spec.dtype), told)]
        if spec.maximum is not None:
            checks += [tf.debugging.assert_less_equal(tensor, tf.constant(spec.maximum, spec.dtype), told)]
    if not checks:
        return shaped
    with tf.control_dependencies(checks):
        return [tf.identity(tensor) for tensor in shaped]


def _write_warmup(workload: Workload, examples: Examples, pictures: Mapping[str, Tensors], path: Path) -> None:
    """Write a TFRecord of PredictionLog, which TensorFlow Serving replays before it offers a version."""
    import tensorflow as tf
    from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

    batches = [
        (SIGNATURE, examples.repeated(0, workload.inputs, size))
        for size in WARMUP_BATCHES
        if size <= workload.max_instances
    ]
    if serving_bytes.offered(workload.inputs):
        # One is enough: its graph is prepared, and the kernels are those of the other signature.
        batches.append((serving_bytes.SIGNATURE, serving_bytes.encoded(examples.part(slice(1)), workload.inputs)))
    batches += [(picture_signatures.SIGNATURES[form], one) for form, one in pictures.items()]
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, batch in batches:
            request = predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name=workload.name, signature_name=signature),
                inputs={name: tf.make_tensor_proto(array) for name, array in batch.items()},
            )
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            records.write(log.SerializeToString(deterministic=True))
