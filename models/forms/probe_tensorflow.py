"""The models of probe_torch.py in TensorFlow."""

from typing import Any

import tensorflow as tf


class Printing(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
    """Says that it was reached, and doubles its input (n, 4)."""

    def __call__(self, x: Any) -> Any:
        """See the class."""
        print("the model's print")  # noqa: T201  # whether it comes is the question
        return x * 2


class Stopping(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
    """Stops in the debugger, and doubles its input (n, 4)."""

    def __call__(self, x: Any) -> Any:
        """See the class."""
        breakpoint()
        return x * 2


class Branching(tf.Module):  # type: ignore[misc]  # tensorflow ships no types
    """Doubles an input (n, 4) that begins with a positive number, and takes one from any other."""

    def __call__(self, x: Any) -> Any:
        """See the class."""
        if x[0, 0] > 0:
            return x * 2
        return x - 1
