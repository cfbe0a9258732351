"""TensorFlow without its log lines; the other modules take it from here."""

import contextlib
import ctypes
from pathlib import Path

import tensorflow as tf

tf.get_logger().setLevel("ERROR")

# A few of its lines go through Abseil's own log, which TF_CPP_MIN_LOG_LEVEL does not reach. The symbol belongs to one
# release of Abseil; with another release the lines appear again, and nothing else changes.
with contextlib.suppress(OSError, AttributeError):
    _library = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    _library["_ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE"](3)

__all__ = ["tf"]
