"""The signatures `serving_png` and `serving_jpeg`: each instance as an encoded picture, decoded in the graph.

A client of TensorFlow Serving sends the file as base64 over REST (`{"b64": "..."}`,
https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values), or as a tensor of DT_STRING over gRPC.

The header is read before anything is decoded: a file that claims a gigantic picture costs nothing.
"""

import math
import struct
from typing import Any

import numpy as np

from models.tensors import TensorSpec

SIGNATURES = {"png": "serving_png", "jpeg": "serving_jpeg"}
"""By the format of the pictures."""

MOST_DECODED = 128 * 1024 * 1024
"""Bytes of all decoded pictures of a request at most, as of a body: one of a single colour hardly adds to that."""

PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last chunk of every PNG file: https://www.w3.org/TR/png-3/#11IEND."""


def png_head(height: int, width: int, channels: int) -> bytes:
    """How a PNG file of this size begins, 8 bits a channel: signature and IHDR without the byte for interlacing.

    https://www.w3.org/TR/png-3/#11IHDR.
    """
    colour_type = 0 if channels == 1 else 2
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBB", 13, b"IHDR", width, height, 8, colour_type, 0, 0)


def decoded(spec: TensorSpec, name: str, files: Any) -> Any:
    """The input of the model, decoded in the graph.

    Args:
        spec: The input, a picture.
        name: Format of the files, ``png`` or ``jpeg``.
        files: A tensor of strings (n,).

    Returns:
        A tensor (n, *shape).

    Raises:
        tensorflow.errors.InvalidArgumentError: When the graph runs: the tensor is not (n,), the pictures are too many,
            or one is not of this format and of the size and channels of the input, or is cut short.
    """
    import tensorflow as tf

    height, width, channels = size = (*(side or 0 for side in spec.shape), 1)[:3]
    files = tf.ensure_shape(files, [None])
    colours = "greyscale" if channels == 1 else "RGB"
    told = f"{spec.name} must be {name.upper()} files of {width} x {height} pixels, 8-bit {colours}"
    most = MOST_DECODED // (math.prod(size) * np.dtype(spec.dtype).itemsize)
    checks = [tf.debugging.assert_less_equal(tf.size(files), most, f"a request holds at most {most} pictures")]
    if name == "png":
        head = png_head(height, width, channels)
        # Where a string is shorter, `substr` would fail with its own words.
        long_enough = tf.strings.length(files) >= len(head) + len(PNG_END)
        checks += [tf.debugging.Assert(tf.reduce_all(long_enough), [told])]
        with tf.control_dependencies(checks):
            begins = tf.strings.substr(files, 0, len(head)) == head
            ends = tf.strings.substr(files, -len(PNG_END), len(PNG_END)) == PNG_END
        checks = [
            tf.debugging.Assert(tf.reduce_all(begins), [told]),
            tf.debugging.Assert(tf.reduce_all(ends), [f"{spec.name} must be whole PNG files: one was cut short"]),
        ]

    def pixels(file: Any) -> Any:
        if name == "png":
            return tf.io.decode_png(file, channels)
        # Fails where the file is no JPEG: `decode_jpeg` itself would take other formats too.
        right_size = tf.reduce_all(tf.image.extract_jpeg_shape(file) == size)
        with tf.control_dependencies([tf.debugging.Assert(right_size, [told])]):
            # The accurate transform is what other decoders use by default.
            return tf.io.decode_jpeg(file, channels, dct_method="INTEGER_ACCURATE")

    with tf.control_dependencies(checks):
        every = tf.map_fn(pixels, files, fn_output_signature=tf.TensorSpec(size, tf.uint8))
    values = tf.cast(every, spec.dtype) / tf.constant(spec.white, spec.dtype)
    return tf.reshape(values, [-1, *spec.shape])
