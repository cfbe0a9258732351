"""Models of a few lines in PyTorch, each with something in its code that a graph may lose."""

import torch
from torch import nn


class Printing(nn.Module):
    """Says that it was reached, and doubles its input (n, 4)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        print("the model's print")  # noqa: T201  # whether it comes is the question
        return x * 2


class Stopping(nn.Module):
    """Stops in the debugger, and doubles its input (n, 4)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        breakpoint()
        return x * 2


class Branching(nn.Module):
    """Doubles an input (n, 4) that begins with a positive number, and takes one from any other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if bool(x[0, 0] > 0):
            return x * 2
        return x - 1
