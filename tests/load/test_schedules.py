import heapq
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.load.bursty import Gamma
from loadtest.load.replay import Replay
from loadtest.load.schedule import (
    MAX_CONNECTIONS,
    MAX_DURATION_S,
    MAX_RATE,
    NS,
    Closed,
    Constant,
    Piecewise,
    Poisson,
    Schedule,
    check_connections,
)

rates = st.floats(0.5, 20_000.0)
durations = st.floats(0.01, 0.5)
seeds = st.integers(0, 2**32 - 1)
open_schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Poisson, rates, durations),
    st.builds(Constant, rates, durations),
    st.builds(Gamma, rates, durations, st.floats(0.1, 5.0)),
    st.builds(
        Piecewise, st.lists(rates, min_size=2, max_size=5).map(tuple), durations, st.sampled_from(["ramp", "step"])
    ),
    st.builds(
        Replay, st.lists(st.floats(0, 10.0), min_size=1, max_size=200).map(lambda offsets: tuple(sorted(offsets)))
    ),
)


@given(open_schedules, seeds)
def test_times_ascend_within_the_duration(schedule: Schedule, seed: int) -> None:
    """Whole nanoseconds, ascending, none before the start or after the end, and the same again from the same seed."""
    times = list(schedule.times(seed))
    assert times == sorted(times)
    assert all(isinstance(time, int) for time in times)
    assert not times or (times[0] >= 0 and times[-1] <= schedule.duration_s * NS)
    assert times == list(schedule.times(seed))


@pytest.mark.parametrize(
    "schedule",
    [Poisson(2_000.0, 50.0), Piecewise((500.0, 3_500.0), 50.0), Piecewise((1_000.0, 2_000.0, 3_000.0), 50.0, "step")],
    ids=lambda schedule: schedule.kind,
)
def test_count_lies_within_the_poisson_spread(schedule: Schedule) -> None:
    """The counts of 20 seeds scatter about the promised number as Poisson counts do, and no less."""
    counts = np.array([sum(1 for _ in schedule.times(seed)) for seed in range(20)])
    expected = schedule.rate * schedule.duration_s
    deviations = (counts - expected) / math.sqrt(expected)
    assert np.abs(deviations).max() < 4
    assert abs(deviations.mean()) < 4 / math.sqrt(deviations.size)
    assert 0.5 < deviations.std() < 1.6


def test_poisson_gaps_are_exponential() -> None:
    """Mean and standard deviation of the gaps are both 1 / rate, and 1 / e of them are longer than that."""
    gaps = np.diff(np.array(list(Poisson(1_000.0, 200.0).times(11)))) / NS
    assert gaps.mean() == pytest.approx(0.001, rel=0.01)
    assert gaps.std() == pytest.approx(0.001, rel=0.01)
    assert np.mean(gaps > 0.001) == pytest.approx(math.exp(-1), rel=0.01)


@pytest.mark.parametrize(
    ("rate", "duration_s", "count"), [(100.0, 1.1, 110), (3.0, 1.0, 3), (7.0, 0.5, 4), (1.0, 0.5, 1)]
)
def test_constant_ticks_from_the_start_until_before_the_end(rate: float, duration_s: float, count: int) -> None:
    """Tick k is due at k / rate; the one that falls on the end is not, however the product rounds."""
    assert list(Constant(rate, duration_s).times(0)) == [round(tick * NS / rate) for tick in range(count)]


@given(rates, durations, st.integers(1, 7))
def test_parts_of_a_constant_schedule_tick_exactly_like_the_whole(rate: float, duration_s: float, parts: int) -> None:
    """Dealt out over several processes, the very same nanoseconds come back; and dealt out again, too."""
    whole = Constant(rate, duration_s)
    dealt = whole.split(parts)
    assert sorted(itertools.chain.from_iterable(part.times(0) for part in dealt)) == list(whole.times(0))
    assert sum(part.rate for part in dealt) == pytest.approx(rate)
    again = dealt[-1].split(2)
    assert sorted(itertools.chain.from_iterable(part.times(0) for part in again)) == list(dealt[-1].times(0))


@given(open_schedules, st.integers(1, 8))
def test_parts_offer_the_rate_of_the_whole(schedule: Schedule, parts: int) -> None:
    """However a schedule is divided, the parts' offered requests add up to those of the whole."""
    divided = schedule.split(parts)
    assert len(divided) <= parts
    offered = sum(part.rate * part.duration_s for part in divided)
    assert offered == pytest.approx(schedule.rate * schedule.duration_s)


def test_parts_of_a_poisson_schedule_are_a_poisson_schedule() -> None:
    """Superposed from different seeds, the parts have the count and the exponential gaps of the whole."""
    parts = Poisson(1_000.0, 100.0).split(4)
    times = np.array(list(heapq.merge(*(part.times(seed) for seed, part in enumerate(parts)))))
    assert abs(times.size - 100_000) < 4 * math.sqrt(100_000)
    gaps = np.diff(times) / NS
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)


def test_parts_of_a_recording_are_the_recording() -> None:
    """Offsets are dealt out in turn; fewer offsets than parts leave no empty part."""
    recording = Replay((0.0, 0.5, 0.5, 2.0, 7.25))
    parts = recording.split(3)
    assert sorted(itertools.chain.from_iterable(part.times(0) for part in parts)) == list(recording.times(0))
    assert len(recording.split(9)) == 5


def test_ramp_follows_its_corners() -> None:
    """From next to 0 to 2,000 per second in 10 s: a quarter of the requests in the first half, half after 7.07 s."""
    ramp = Piecewise((1e-9, 2_000.0), 10.0)
    assert ramp.rate == pytest.approx(1_000.0)
    times = np.array([time for seed in range(20) for time in ramp.times(seed)]) / NS
    assert np.mean(times < 5.0) == pytest.approx(0.25, abs=0.005)
    assert np.median(times) == pytest.approx(10 / math.sqrt(2), rel=0.005)


@pytest.mark.parametrize("rates", [(100.0, 900.0), (100.0, 900.0, 300.0), (50.0, 50.0)])
def test_ramp_rate_is_the_integral_of_its_curve(rates: tuple[float, ...]) -> None:
    """The mean rate is the area under the straight lines between the corners, over the length."""
    grid = np.linspace(0, len(rates) - 1, 100_001)
    curve = np.interp(grid, np.arange(len(rates)), rates)
    assert Piecewise(rates, 3.0).rate == pytest.approx(float(curve.mean()), rel=1e-4)


def test_step_holds_each_rate() -> None:
    """Each third of a three-step curve has the count of its own rate."""
    steps = Piecewise((200.0, 1_000.0, 400.0), 30.0, "step")
    assert steps.rate == pytest.approx(1_600 / 3)
    times = np.array([time for seed in range(10) for time in steps.times(seed)]) / NS
    counts = np.histogram(times, bins=[0, 10, 20, 30])[0]
    for count, rate in zip(counts, steps.rates, strict=True):
        assert abs(count - 100 * rate) < 4 * math.sqrt(100 * rate)


def test_memory_of_a_long_schedule_is_that_of_one_block() -> None:
    """A week at the highest rate can be begun at once: nothing is drawn ahead."""
    for schedule in (Poisson(MAX_RATE, MAX_DURATION_S), Constant(MAX_RATE, MAX_DURATION_S)):
        first = list(itertools.islice(schedule.times(1), 5_000))
        assert first == sorted(first)
        assert first[-1] == pytest.approx(5_000_000, rel=0.1)


@pytest.mark.parametrize("rate", [0.0, -1.0, MAX_RATE * 1.01, math.nan, math.inf])
@pytest.mark.parametrize(
    "build",
    [
        lambda rate: Poisson(rate, 1.0),
        lambda rate: Constant(rate, 1.0),
        lambda rate: Piecewise((1.0, rate), 1.0),
        lambda rate: Piecewise((rate,), 1.0, "step"),
    ],
    ids=["poisson", "constant", "ramp", "step"],
)
def test_impossible_rates_are_refused(build: type[Poisson], rate: float) -> None:
    """No schedule is made with a rate of zero, below it, beyond the highest or without a value."""
    with pytest.raises(UsageError, match="rate must be above 0"):
        build(rate)  # type: ignore[call-arg]  # the lambdas stand in for the classes


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_impossible_durations_are_refused(duration_s: float) -> None:
    """No schedule lasts no time, less than that or for ever."""
    for build in (lambda: Poisson(1.0, duration_s), lambda: Constant(1.0, duration_s), lambda: Closed(duration_s)):
        with pytest.raises(UsageError, match="duration must be above 0"):
            build()


@pytest.mark.parametrize("connections", [0, -5, MAX_CONNECTIONS + 1, 1_000_000])
def test_impossible_connections_are_refused(connections: int) -> None:
    """Neither zero connections nor a million."""
    with pytest.raises(UsageError, match="connections must be between 1 and 10,000"):
        check_connections(connections)


def test_a_ramp_of_one_rate_is_refused() -> None:
    """A ramp needs somewhere to go."""
    with pytest.raises(UsageError, match="several rates"):
        Piecewise((100.0,), 1.0)


def test_recording_is_read_sorted_without_comments(tmp_path: Path) -> None:
    """Blank lines and comments are skipped, and lines may stand in any order."""
    path = tmp_path / "offsets"
    path.write_text("# seconds\n0.5\n\n  0.25 \n1e-3\n", encoding="utf-8")
    recording = Replay.read(path)
    assert list(recording.times(0)) == [1_000_000, 250_000_000, 500_000_000]
    assert recording.rate == pytest.approx(6.0)


@pytest.mark.parametrize("line", ["soon", "-1", "nan", "inf", "1e300", "1 2", "0x10"])
def test_a_line_that_is_no_offset_is_named(tmp_path: Path, line: str) -> None:
    """The error says which line of which file it is."""
    path = tmp_path / "offsets"
    path.write_text(f"0.5\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"offsets:2: .* is not a number of seconds"):
        Replay.read(path)


def test_unusable_recordings_are_refused(tmp_path: Path) -> None:
    """A missing file, a folder, an empty file and one that is no text."""
    with pytest.raises(UsageError, match="cannot read the replay file"):
        Replay.read(tmp_path / "missing")
    with pytest.raises(UsageError, match="cannot read the replay file"):
        Replay.read(tmp_path)
    path = tmp_path / "offsets"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot read the replay file"):
        Replay.read(path)
    path.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no offsets"):
        Replay.read(path)
