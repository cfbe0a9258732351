"""TensorFlow's SavedModel to LiteRT (formerly TensorFlow Lite)."""

from pathlib import Path
from typing import Any

from devices.source import Source


def export(source: Source, file: Path) -> None:
    """Write the model with a batch of one of the largest length; raises whatever the converter raises."""
    file.write_bytes(converter(source).convert())


def converter(source: Source) -> Any:
    """TensorFlow's converter for the signature that TensorFlow Serving answers with, its shapes fixed."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(source.saved_model))
    shapes = {spec.name: tf.TensorSpec((1, *spec.longest), spec.dtype, spec.name) for spec in source.inputs}
    function = tf.function(lambda **inputs: loaded.signatures["serving_default"](**inputs))
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function(**shapes)], loaded)
