"""What the binary forms of a body have in common: arrays that are views of the body, and the checks of those."""

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .interface import (
    Interface,
    InvalidRequest,
    Tensors,
    TensorSpec,
    check_lengths,
    check_values,
)

Buffer = bytes | bytearray | memoryview


def check_shape(shape: tuple[int, ...], spec: TensorSpec, interface: Interface) -> None:
    """Check the declared shape of one input, before anything is made by it.

    Raises:
        InvalidRequest: It is not (n, *shape of an instance), or n is more than one request may hold.
    """
    if not shape or not spec.fits(shape[1:]):
        expected = f"{spec.dtype} of shape [{', '.join(('n', *spec.sizes))}]"
        raise InvalidRequest(f"{spec.name} has shape {list(shape)}, expected {expected}")
    interface.check_count(shape[0])


def view(
    buffer: Buffer,
    offset: int,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    what: str,
    type_name: str,
    order: Literal["C", "F"] = "C",
) -> npt.NDArray[Any]:
    """Return the array that lies in a buffer from `offset` to its end: a view wherever the frameworks can use one.

    Args:
        buffer: Where its elements lie.
        offset: How many bytes are before them.
        dtype: The type of the elements.
        shape: A shape that is known to be no larger than the model takes.
        what: What errors call the buffer.
        type_name: What errors call the type.
        order: Whether the last index runs first, or as in Fortran the first; the array that is returned has C's order.

    Raises:
        InvalidRequest: The rest of the buffer is shorter or longer than that.
    """
    holds, takes = len(buffer) - offset, math.prod(shape) * dtype.itemsize
    if holds != takes:
        raise InvalidRequest(f"{what} holds {holds} bytes, {type_name} of shape {list(shape)} takes {takes}")
    array: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer, offset, order=order)
    # Neither framework is at ease with elements that do not lie at a multiple of their size.
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy()


def checked(columns: Tensors, interface: Interface) -> Tensors:
    """Return the inputs in the model's order, after the checks that JSON gets too.

    Raises:
        InvalidRequest: They are of different numbers of instances or of different lengths, or hold a value that the
            model does not take.
    """
    counts = {name: len(array) for name, array in columns.items()}
    if len(set(counts.values())) > 1:
        told = " and ".join(f"{count} of {name}" for name, count in counts.items())
        raise InvalidRequest(f"the request has {told}: the inputs must have the same number of instances")
    check_lengths(columns, interface.inputs)
    for spec in interface.inputs:
        array = columns[spec.name]
        if spec.dtype == "bool" and (array.view(np.uint8) > 1).any():
            raise InvalidRequest(f"the instances.{spec.name} hold a byte that is neither 0 nor 1")
        check_values(array, spec, f".{spec.name}")
    return {spec.name: columns[spec.name] for spec in interface.inputs}
