"""Recorded traffic, played again: as it was, or with its time stretched."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from loadtest.errors import UsageError
from loadtest.load.schedule import MAX_DURATION_S, MAX_RATE, NS, Schedule
from loadtest.load.trace_file import read_offsets

SHORTEST_S = 1e-3


@dataclass(frozen=True)
class Replay:
    """Recorded traffic.

    Attributes:
        offsets_s: When each request is due, in seconds from the start, ascending.
        length_s: Length where it is longer than the last offset: that of the whole, for a part of a recording.
    """

    offsets_s: tuple[float, ...]
    kind: str = "replay"
    length_s: float = 0.0
    dealt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.offsets_s:
            raise UsageError("the replay file holds no offsets: write one number of seconds per line")
        if self.duration_s > MAX_DURATION_S:
            days = self.duration_s / 86_400
            raise UsageError(f"the recording lasts {days:,.1f} days, and a week is the most: shorten it with --stretch")

    @classmethod
    def read(cls, path: Path, *, stretch: float = 1.0, rate: float | None = None) -> "Replay":
        """Read a recording in one of the forms of `read_offsets`.

        Args:
            path: The file.
            stretch: What every offset is multiplied by: 0.5 plays the recording at twice its speed.
            rate: Instead of a stretch: the mean rate to bring it to, in requests per second.

        Raises:
            UsageError: If the file cannot be read, holds no time, or after the stretch is longer than a week or faster
                than any client.
        """
        offsets = sorted(read_offsets(path))
        if rate is not None and offsets:
            stretch = len(offsets) / rate / max(offsets[-1], SHORTEST_S)
        recording = cls(tuple(offset * stretch for offset in offsets))
        if stretch != 1 and recording.rate > MAX_RATE:
            raise UsageError(f"so stretched, the recording would hold more than {MAX_RATE:,.0f} requests per second")
        return recording

    @property
    def duration_s(self) -> float:
        """The last offset, or the length of the whole; at least a millisecond, so that a rate can be given."""
        return max(self.offsets_s[-1], self.length_s, SHORTEST_S)

    @property
    def rate(self) -> float:
        """Mean rate of the recording, in requests per second."""
        return len(self.offsets_s) / self.duration_s

    def times(self, seed: int) -> Iterator[int]:
        """Yield the recorded times; the seed is not used."""
        return (int(offset * NS) for offset in self.offsets_s)

    def split(self, parts: int) -> Sequence[Schedule]:
        """Deal the offsets out in turn; every part lasts as long as the whole, so that their time lines agree."""
        return [
            Replay(dealt, self.kind, self.duration_s)
            for part in range(parts)
            if (dealt := tuple(itertools.islice(self.offsets_s, part, None, parts)))
        ]
