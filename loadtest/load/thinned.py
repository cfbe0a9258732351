"""A part of a long sequence, of bounded size: whole blocks, evenly spaced over all of it."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BLOCKS = 32


class Thinned:
    """Keeps every block at first; where they become too many, every second one, every fourth, and so on.

    What follows each other within a block did so in the sequence.
    """

    def __init__(self) -> None:
        self.blocks: list[Floats] = []
        self._stride = 1
        self._seen = 0

    def add(self, block: Floats) -> None:
        """Offer the next block of the sequence."""
        if self._seen % self._stride == 0:
            self.blocks.append(block)
        self._seen += 1
        if len(self.blocks) > BLOCKS:
            self.blocks = self.blocks[::2]
            self._stride *= 2

    def merge(self, other: "Thinned") -> None:
        """Add the blocks of another sequence."""
        self.blocks += other.blocks
