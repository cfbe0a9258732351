"""TensorFlow's SavedModel to LiteRT in 8-bit integers; what goes in and comes out stays float32."""

from pathlib import Path

from devices import tensorflow_to_litert
from devices.source import Source


def export(source: Source, file: Path) -> None:
    """Quantise by the ranges of the calibration, or of tokens' activations while the model runs."""
    import tensorflow as tf

    converter = tensorflow_to_litert.converter(source)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if not source.takes_tokens:
        converter.representative_dataset = lambda: iter(source.calibration_longest)
    file.write_bytes(converter.convert())
