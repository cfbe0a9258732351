"""Reads when the requests of a recording came: a list of offsets, of dates, or a table such as public traces are."""

import csv
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from loadtest.errors import UsageError
from loadtest.load.schedule import MAX_DURATION_S

TIME_COLUMNS = ("timestamp", "arrival_timestamp", "arrival_time", "arrived_at", "time", "offset_s")
"""Names of the column of a CSV file that holds the times, in any case; the first of them that is there is taken.

``TIMESTAMP`` is that of Azure's public traces of language models (dates), ``Timestamp`` that of BurstGPT (seconds).
"""

EPOCH_FROM = 1e8
"""A number from here on is no offset but a time since 1970: no recording lasts three years."""

Line = tuple[int, str]
"""Its number, from 1 on, and what is to be read in it."""


def read_offsets(path: Path) -> list[float]:
    """Read the times of a recording as seconds from its start, in the order of the file.

    A file has one time a line, or is a CSV file whose header names one of `TIME_COLUMNS`. A time is a number of
    seconds, a time since 1970 (in seconds, milli-, micro- or nanoseconds, as its size tells), or a date in ISO 8601,
    in UTC where it has no zone. Dates, times since 1970 and the times of a CSV file are counted from the earliest; a
    plain list of seconds is taken as it stands. Blank lines and lines that begin with ``#`` are skipped.

    A recording of whole seconds, such as BurstGPT, has all requests of a second at its beginning.

    Raises:
        UsageError: If the file cannot be read, a line holds no time, or the header names none.
    """
    lines = _lines(path)
    if not lines:
        return []
    table = _time(lines[0][1]) is None and ("," in lines[0][1] or lines[0][1].lower() in TIME_COLUMNS)
    if table:
        lines = _column(path, lines)
    times = [_checked(path, line) for line in lines]
    unit = _unit(times[0]) if times else 1.0
    if table or (times and times[0] >= EPOCH_FROM):
        return _from_first(times, unit)
    for (number, text), time in zip(lines, times, strict=True):
        if not 0 <= time <= MAX_DURATION_S:
            raise UsageError(f"{path}:{number}: {text!r} is not a number of seconds from the start, within a week")
    return times


def _from_first(times: Sequence[float], unit: float) -> list[float]:
    first = min(times, default=0.0)
    return [(time - first) / unit for time in times]


def _lines(path: Path) -> list[Line]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the replay file {path}: {error}") from error
    stripped = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]


def _column(path: Path, lines: Sequence[Line]) -> list[Line]:
    """The cells of the column with the times."""
    rows = list(csv.reader(text for _, text in lines))
    names = [name.strip().lower() for name in rows[0]]
    found = [names.index(name) for name in TIME_COLUMNS if name in names]
    if not found:
        raise UsageError(f"{path}: no column of times ({', '.join(TIME_COLUMNS)}) among {', '.join(rows[0])}")
    cells = ((number, row[found[0] : found[0] + 1]) for (number, _), row in zip(lines[1:], rows[1:], strict=False))
    return [(number, cell[0].strip() if cell else "") for number, cell in cells]


def _checked(path: Path, line: Line) -> float:
    time = _time(line[1])
    if time is None:
        number, text = line
        raise UsageError(
            f"{path}:{number}: {text!r} is not a number of seconds from the start, within a week, or a date"
        )
    return time


def _time(text: str) -> float | None:
    """A number as it stands, or a date as seconds since 1970; None where it is neither."""
    try:
        number = float(text)
        return number if math.isfinite(number) else None
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _unit(time: float) -> float:
    """How many of the file's units a second has: today is 1.8e9 s, 1.8e12 ms, 1.8e15 us and 1.8e18 ns since 1970."""
    return 1.0 if time < 1e11 else 1e3 if time < 1e14 else 1e6 if time < 1e17 else 1e9
