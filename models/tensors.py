"""The tensors of a model's interface: name, element type, shape, and the values that they may hold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]
"""Arrays by the name of their tensor, each (batch, *shape)."""

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool", "string")
"""Element types by NumPy's names; text is `string`, and a NumPy array of `str`."""

LONGEST_NUMBER = {"float32": 23, "float64": 24, "int32": 11, "int64": 20, "uint8": 3, "bool": 5, "string": 256}
"""The longest JSON text of an element: `-1.1754943508222875e-38` for a float32. For text, what is reckoned with."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type and shape of one tensor of the model's interface.

    Attributes:
        name: Tensor name in the serving signature.
        dtype: One of `DTYPES`.
        shape: Dimensions of one instance, without the batch dimension. In an input one of them may vary and is None.
        lengths: Smallest and largest size of the dimension that varies; None where none does.
        padding: What a shorter instance is filled up with where a server puts several lengths into one batch. It must
            not change an answer, and lies within the limits.
        minimum: Smallest value allowed in an input; None for any.
        maximum: Largest value allowed in an input; None for any.
        white: Where an input is a picture, the value of a stored pixel that stands for 1: a pixel stands for its value
            divided by this. Such an input is also taken as an encoded picture, 8 bits a channel: greyscale where its
            shape is (height, width), RGB where it is (height, width, 3). None where it is no picture.

    Raises:
        ValueError: A value breaks these rules.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    lengths: tuple[int, int] | None = None
    padding: float = 0
    minimum: float | None = None
    maximum: float | None = None
    white: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"tensor {self.name} is {self.dtype}; exported are {', '.join(DTYPES)}")
        if self.shape.count(None) != (self.lengths is not None):
            raise ValueError(f"tensor {self.name}: one dimension may be None, and then `lengths` says how it varies")
        if self.lengths and not 1 <= self.lengths[0] <= self.lengths[1]:
            raise ValueError(f"tensor {self.name}: its lengths run from {self.lengths[0]} to {self.lengths[1]}")
        within = (self.minimum is None or self.padding >= self.minimum) and (
            self.maximum is None or self.padding <= self.maximum
        )
        if self.lengths and not within:
            raise ValueError(f"tensor {self.name}: its padding {self.padding:g} is beyond the limits of its values")
        if self.dtype == "string" and (self.lengths, self.minimum, self.maximum) != (None, None, None):
            raise ValueError(f"tensor {self.name}: text has a fixed shape and no limits of value")
        if self.white is not None and not (self.white >= 1 and self.is_float and self.has_shape_of_picture):
            raise ValueError(
                f"tensor {self.name}: a picture is a float tensor of shape (height, width) or (height, width, 3), "
                f"and its white is at least 1"
            )

    @property
    def has_shape_of_picture(self) -> bool:
        """Whether its instances are (height, width) or (height, width, 3)."""
        return self.lengths is None and (len(self.shape) == 2 or (len(self.shape) == 3 and self.shape[2] == 3))

    @property
    def axis(self) -> int | None:
        """Which dimension of a batch varies, counted with the batch dimension."""
        return self.shape.index(None) + 1 if self.lengths else None

    @property
    def numpy_dtype(self) -> type[np.generic]:
        """The type of an array's elements."""
        return np.str_ if self.dtype == "string" else np.dtype(self.dtype).type

    @property
    def is_float(self) -> bool:
        """Whether its values are compared within a tolerance, and not exactly."""
        return self.dtype.startswith("float")

    def of_length(self, length: int | None) -> tuple[int, ...]:
        """The shape of one instance with so much in the dimension that varies."""
        return tuple(size if size is not None else length or 0 for size in self.shape)

    @property
    def longest(self) -> tuple[int, ...]:
        """The shape of the largest instance."""
        return self.of_length(self.lengths[1] if self.lengths else None)

    @property
    def json_bytes(self) -> int:
        """The most that one instance takes as JSON: each number as long as can be, with what separates and encloses."""
        lists = sum(math.prod(self.longest[:depth]) for depth in range(len(self.longest)))
        return math.prod(self.longest) * (LONGEST_NUMBER[self.dtype] + len(", ")) + lists * len("[], ")

    def fault(self, array: NDArray[Any]) -> str:
        """What is wrong with an array of instances, each as long as the longest; nothing where it is right."""
        if not np.issubdtype(array.dtype, self.numpy_dtype):
            return f"{self.name} is {array.dtype}, not {self.dtype}"
        fits = [size is None or size == there for size, there in zip(self.shape, array.shape[1:], strict=False)]
        if array.ndim != len(self.shape) + 1 or not all(fits):
            return f"{self.name} has shape {array.shape}, not (n, *{self.shape})"
        if self.lengths and not self.lengths[0] <= (length := array.shape[self.axis or 0]) <= self.lengths[1]:
            return f"{self.name} has a length of {length}, not {self.lengths[0]} to {self.lengths[1]}"
        for limit, wrong in ((self.minimum, np.less), (self.maximum, np.greater)):
            if limit is not None and wrong(array, limit).any():
                return f"{self.name} holds {array.min():g} to {array.max():g}, beyond the limit {limit:g}"
        return ""


def rows(specs: Sequence[TensorSpec], tensors: Tensors) -> list[Any]:
    """Instances as TensorFlow Serving writes them in JSON: bare values for one tensor, objects for several."""
    columns = {spec.name: _plain(tensors[spec.name]) for spec in specs}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(array: NDArray[Any]) -> Any:
    """Python's values; those of a float32 have the few digits that tell it from every other one."""
    return (array.astype(np.str_).astype(np.float64) if array.dtype == np.float32 else array).tolist()
