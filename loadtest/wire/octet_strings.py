"""Tensors as TensorFlow Serving takes them in binary: each instance of an input a string of octets.

The models of this project have a signature of their own for it, `serving_bytes`, which decodes them in the graph: see
models/serving_bytes.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loadtest.servers.examples import Tensors

SIGNATURE = "serving_bytes"


def octet_strings(inputs: Tensors) -> dict[str, list[bytes]]:
    """The values of each instance, little-endian and row-major, by the names of the inputs."""
    little = {name: np.asarray(array, array.dtype.newbyteorder("<")) for name, array in inputs.items()}
    return {name: [instance.tobytes() for instance in array] for name, array in little.items()}


def has_signature(inputs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a model of these inputs, as its manifest describes them, has the signature.

    Text has no octets of a known size, and only where the first dimension varies can a shorter instance be filled up.
    """
    return all(one["dtype"] != "string" and None not in one["shape"][1:] for one in inputs)
