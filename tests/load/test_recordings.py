"""Recordings and public traces, read and played again with their time stretched."""

import itertools
from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.load.replay import Replay

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:47.1805900,10,20
"""
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
118,GPT-4,417,276,693,Conversation log
"""


def written(folder: Path, text: str) -> Path:
    """A file with this text."""
    path = folder / "trace"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        (AZURE, [0.0, 0.5, 4.314579]),
        (BURSTGPT, [0.0, 40.0, 113.0]),
        ("id,time\n1,0.5\n2,2.5\n", [0.0, 2.0]),
        ("timestamp\n7.5\n8.0\n", [0.0, 0.5]),
        ("2024-05-10 00:00:00.5+00:00\n2024-05-10T00:00:02Z\n", [0.0, 1.5]),
        ("2024-05-10T02:00:00+02:00\n2024-05-10T00:00:01\n", [0.0, 1.0]),
        ("1700000000\n1700000001.5\n", [0.0, 1.5]),
        ("1700000000000\n1700000001500\n", [0.0, 1.5]),
        ("1700000000000000\n1700000001500000\n", [0.0, 1.5]),
        ("1700000000000000000\n1700000001500000000\n", [0.0, 1.5]),
        ("\ufeffTimestamp,x\n3,1\n4,2\n", [0.0, 1.0]),
        ("# seconds\n0.5\n\n1.5\n", [0.5, 1.5]),
    ],
    ids=["azure", "burstgpt", "a later column", "one column", "dates", "zones", "s", "ms", "us", "ns", "mark", "plain"],
)
def test_public_traces_are_read_as_offsets(tmp_path: Path, text: str, offsets: list[float]) -> None:
    """Dates, times since 1970 and tables count from their first request; plain seconds stay as they are."""
    assert list(Replay.read(written(tmp_path, text)).offsets_s) == pytest.approx(offsets, abs=1e-6)


def test_stretch_multiplies_the_times(tmp_path: Path) -> None:
    """By half: in half the time, at twice the rate, in the same order and proportions."""
    path = written(tmp_path, BURSTGPT)
    whole, half = Replay.read(path), Replay.read(path, stretch=0.5)
    assert half.offsets_s == tuple(offset / 2 for offset in whole.offsets_s)
    assert half.rate == pytest.approx(2 * whole.rate)


def test_a_rate_stretches_to_it(tmp_path: Path) -> None:
    """The mean rate is the one that was asked for, whatever the recording's was."""
    scaled = Replay.read(written(tmp_path, AZURE), rate=30.0)
    assert scaled.rate == pytest.approx(30.0)
    assert scaled.duration_s == pytest.approx(0.1)


def test_parts_last_as_long_as_the_whole() -> None:
    """Whatever their own last offset: windows of several processes are of one length and can be added up."""
    recording = Replay((0.0, 0.5, 0.5, 2.0, 7.25))
    parts = recording.split(3)
    assert {part.duration_s for part in parts} == {7.25}
    assert sum(part.rate for part in parts) == pytest.approx(recording.rate)
    again = parts[0].split(2)
    assert sorted(itertools.chain.from_iterable(part.times(0) for part in again)) == list(parts[0].times(0))


def test_a_recording_of_months_has_to_be_shortened(tmp_path: Path) -> None:
    """Too long as it is, and no longer so once stretched."""
    path = written(tmp_path, "Timestamp,Model\n0,a\n5270400,b\n")
    with pytest.raises(UsageError, match=r"lasts 61.0 days, and a week is the most: shorten it with --stretch"):
        Replay.read(path)
    assert Replay.read(path, stretch=1e-4).duration_s == pytest.approx(527.04)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("when,what\n1,2\n", "no column of times .* among when, what"),
        ("Timestamp,x\n1,2\nsoon,3\n", r"trace:3: 'soon' is not"),
        ("Timestamp,x\n", "holds no offsets"),
        ("x,Timestamp\n1\n", r"trace:2: '' is not"),
        ("0.5\n700000\n", r"trace:2: '700000' is not a number of seconds from the start, within a week"),
        ("0.5\n2024-05-10\n", r"trace:2: '2024-05-10' is not a number of seconds"),
    ],
)
def test_unusable_traces_are_refused(tmp_path: Path, text: str, words: str) -> None:
    """The message names the line, or the columns that there are."""
    with pytest.raises(UsageError, match=words):
        Replay.read(written(tmp_path, text))


def test_a_stretch_beyond_the_highest_rate_is_refused(tmp_path: Path) -> None:
    """A millionth of a second for three requests."""
    with pytest.raises(UsageError, match="more than 1,000,000 requests per second"):
        Replay.read(written(tmp_path, "\n".join(str(n / 1000) for n in range(5_000))), stretch=1e-5)
