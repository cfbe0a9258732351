"""The signature `serving_bytes`: each instance of an input as one string, its values as raw octets.

The octets are little-endian and row-major, as `numpy.ndarray.tobytes` gives them. It is how a client of TensorFlow
Serving sends tensors in binary: as base64 over REST (`{"b64": "..."}`,
https://www.tensorflow.org/tfx/serving/api_rest#encoding_binary_values), as a tensor of DT_STRING over gRPC.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.examples import Examples
from models.tensors import Tensors, TensorSpec

SIGNATURE = "serving_bytes"


def offered(inputs: Sequence[TensorSpec]) -> bool:
    """Whether a model of these inputs has the signature.

    Text has no octets of a known size. A dimension that varies has to be the first of an instance: only then is a
    shorter instance the beginning of a longer one, and can be filled up at its end.
    """
    return all(spec.dtype != "string" and spec.axis in (None, 1) for spec in inputs)


def encoded(examples: Examples, inputs: Sequence[TensorSpec]) -> Tensors:
    """The octets of examples, each of its own length, as the signature takes them.

    Args:
        examples: So many, n.
        inputs: The inputs of the model.

    Returns:
        For each input an array (n,) of `bytes`.
    """
    every = [examples.repeated(row, inputs) for row in range(examples.size)]
    return {
        spec.name: np.array([one[spec.name].astype(_little_endian(spec)).tobytes() for one in every], np.object_)
        for spec in inputs
    }


def _little_endian(spec: TensorSpec) -> np.dtype[Any]:
    return np.dtype(spec.dtype).newbyteorder("<")


def decoded(specs: Sequence[TensorSpec], octets: Sequence[Any]) -> list[Any]:
    """The inputs of the model, decoded in the graph.

    TensorFlow Serving puts the strings of several requests into one batch whatever their lengths, so shorter instances
    are filled up with the padding of their input, which changes no answer.

    Args:
        specs: The inputs, for which the signature is `offered`.
        octets: A tensor of strings (n,) for each.

    Returns:
        A tensor (n, *shape) for each, as long as its longest instance.

    Raises:
        tensorflow.errors.InvalidArgumentError: When the graph runs: a tensor is not (n,), a string is not of the size
            of an instance, or the inputs of an instance have different lengths.
    """
    import tensorflow as tf

    strings = [tf.ensure_shape(tensor, [None]) for tensor in octets]
    sizes = [tf.strings.length(tensor) for tensor in strings]
    checks = [_of_right_size(spec, size) for spec, size in zip(specs, sizes, strict=True)]
    varying = [(spec, size // _step(spec)) for spec, size in zip(specs, sizes, strict=True) if spec.lengths]
    for spec, length in varying[1:]:
        first, others = varying[0]
        told = f"{first.name} and {spec.name} must have the same length in each instance"
        checks.append(tf.debugging.assert_equal(length, others, told))
    with tf.control_dependencies(checks):
        return [_values(*one) for one in zip(specs, strings, sizes, strict=True)]


def _step(spec: TensorSpec) -> int:
    """Bytes of what an instance is a whole number of: of one place in the dimension that varies, or of all of it."""
    return math.prod(size for size in spec.shape if size is not None) * np.dtype(spec.dtype).itemsize


def _limits(spec: TensorSpec) -> tuple[int, int]:
    """Fewest and most bytes of an instance."""
    least, most = spec.lengths or (1, 1)
    return least * _step(spec), most * _step(spec)


def _of_right_size(spec: TensorSpec, sizes: Any) -> Any:
    """The check that strings of these sizes hold instances: `DecodePaddedRaw` cuts and fills up without a word."""
    import tensorflow as tf

    least, most = _limits(spec)
    wanted = f"{least} to {most} bytes, a multiple of {_step(spec)}," if spec.lengths else f"{least} bytes"
    told = f"{spec.name} must have {wanted} in each instance; there are"
    right = (sizes >= least) & (sizes <= most) & (sizes % _step(spec) == 0)
    return tf.debugging.Assert(tf.reduce_all(right), [told, sizes], summarize=8)


def _values(spec: TensorSpec, strings: Any, sizes: Any) -> Any:
    import tensorflow as tf

    longest = tf.maximum(tf.reduce_max(sizes), _limits(spec)[0])  # of no strings at all the largest size is negative
    raw = "uint8" if spec.dtype == "bool" else spec.dtype  # fixed lengths are not implemented for booleans
    flat = tf.io.decode_raw(strings, raw, little_endian=True, fixed_length=longest)
    length = longest // _step(spec)
    values = tf.reshape(flat, [tf.size(strings), *(length if size is None else size for size in spec.shape)])
    values = tf.cast(values, spec.dtype)
    if not spec.padding:
        return values  # filled up with zeros already
    there = tf.sequence_mask(sizes // _step(spec), length)
    there = tf.reshape(there, [tf.size(strings), length, *[1] * (len(spec.shape) - 1)])
    return tf.where(there, values, tf.constant(spec.numpy_dtype(spec.padding)))
