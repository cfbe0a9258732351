"""Tensors as NumPy writes them to files: .npy for one, .npz for several by their names."""

import io

import numpy as np

from loadtest.servers.examples import Tensors
from loadtest.servers.expectation import Golden

ZIP = b"PK"


def write_tensors(tensors: Tensors) -> bytes:
    """A .npy for one tensor, which then has no name, a .npz for several."""
    file = io.BytesIO()
    if len(tensors) == 1:
        (only,) = tensors.values()
        np.save(file, np.ascontiguousarray(only), allow_pickle=False)
    else:
        np.savez(file, allow_pickle=False, **tensors)
    return file.getvalue()


def difference(golden: Golden, payload: int, content: bytes) -> float:
    """Largest difference of the tensors from the right predictions for a payload.

    Raises:
        ValueError: If it is neither .npy nor .npz, or was cut short.
    """
    try:
        read = np.load(io.BytesIO(content), allow_pickle=False)
        outputs = dict(read) if content.startswith(ZIP) else dict.fromkeys(golden.predictions, read)
    except Exception as error:  # zipfile and NumPy raise all kinds over damaged content
        raise ValueError(f"not a NumPy file: {error}") from error
    return golden.column_distance(payload, outputs)
