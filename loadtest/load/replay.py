"""Recorded traffic, played again."""

import datetime
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from loadtest.errors import UsageError
from loadtest.load.schedule import MAX_DURATION_S, NS, Schedule

LATEST_S = 1e11
"""No time stamp in seconds since 1970 is larger."""


@dataclass(frozen=True)
class Replay:
    """Recorded traffic.

    Attributes:
        offsets_s: When each request is due, in seconds from the start, ascending.
    """

    offsets_s: tuple[float, ...]
    kind: str = "replay"
    dealt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.offsets_s:
            raise UsageError("the replay file holds no offsets: write one number of seconds per line")

    @classmethod
    def read(cls, path: Path, stretch: float = 1.0) -> "Replay":
        """Read a file with one time per line: offsets in seconds, seconds since 1970, or ISO 8601 time stamps.

        Time stamps count from the earliest. Of a line with commas the first column is read, and a first line without a
        time is its header.

        Args:
            path: Text file; blank lines and lines that begin with ``#`` are skipped.
            stretch: What every offset is multiplied by: 0.5 plays the recording at twice its speed.

        Raises:
            UsageError: If the file cannot be read, a line holds no time, or the recording is longer than a week.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the replay file {path}: {error}") from error
        times, absolute = list[float](), False
        for number, line in enumerate(lines, 1):
            text, comma, _ = line.strip().partition(",")
            if not text or text.startswith("#"):
                continue
            time, stamped = _time(text)
            absolute = absolute or stamped
            if 0 <= time <= LATEST_S:
                times.append(time)
            elif times or not comma:
                raise UsageError(
                    f"{path}:{number}: {text!r} is not a number of seconds from the start, nor a time stamp"
                )
        first = min(times, default=0.0) if absolute or min(times, default=0.0) > MAX_DURATION_S else 0.0
        offsets = tuple(sorted((time - first) * stretch for time in times))
        if offsets and not offsets[-1] <= MAX_DURATION_S:
            raise UsageError(f"{path}: the recording is longer than a week, which --stretch may shorten")
        return cls(offsets)

    @property
    def duration_s(self) -> float:
        """The last offset, in seconds; at least a millisecond, so that a rate can be given."""
        return max(self.offsets_s[-1], 1e-3)

    @property
    def rate(self) -> float:
        """Mean rate of the recording, in requests per second."""
        return len(self.offsets_s) / self.duration_s

    def times(self, seed: int) -> Iterator[int]:
        """Yield the recorded times; the seed is not used."""
        return (int(offset * NS) for offset in self.offsets_s)

    def split(self, parts: int) -> Sequence[Schedule]:
        """Deal the offsets out in turn."""
        return [
            Replay(dealt)
            for part in range(parts)
            if (dealt := tuple(itertools.islice(self.offsets_s, part, None, parts)))
        ]


def _time(text: str) -> tuple[float, bool]:
    """Seconds, and whether they were written as a time stamp; NaN where it is neither."""
    try:
        return float(text), False
    except ValueError:
        pass
    try:
        return datetime.datetime.fromisoformat(text).timestamp(), True
    except (ValueError, OverflowError, OSError):
        return math.nan, False
