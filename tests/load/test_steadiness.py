"""When a run is steady; `tests.experiments.test_simulated_warm_ups` has warm-ups against servers."""

from dataclasses import replace

from loadtest.load.recorder import Window
from loadtest.load.steadiness import is_warm, steady_from


def windows(rates: list[int], p50_ms: float = 2.0) -> list[Window]:
    """A time line of one-second stretches."""
    return [Window(number + 1.0, rate, 0, p50_ms, 3.0, 4.0, 0) for number, rate in enumerate(rates)]


def test_steady_from_the_start() -> None:
    """Equal stretches are steady from second zero on."""
    assert steady_from(windows([1_000] * 20)) == 0.0


def test_steady_after_a_slow_start() -> None:
    """A slow first fifth is left out."""
    assert steady_from(windows([100] * 4 + [1_000] * 17)) == 4.0


def test_steady_after_slow_answers() -> None:
    """Equal counts with a median that falls are not steady until it has settled."""
    line = windows([1_000] * 4, p50_ms=8.0) + [
        replace(window, end_s=window.end_s + 4) for window in windows([1_000] * 17)
    ]
    assert steady_from(line) == 4.0


def test_never_steady() -> None:
    """A throughput that falls all the time has no steady state, and neither have two windows."""
    assert steady_from(windows([2_000 - 90 * n for n in range(20)])) is None
    assert steady_from(windows([1_000] * 2)) is None
    assert steady_from([]) is None


def test_chance_is_not_taken_for_unsteadiness() -> None:
    """A few requests a stretch scatter by more than 10 % and are steady all the same."""
    assert steady_from(windows([12, 9, 8, 11, 10, 13, 9, 8, 11, 10, 12])) == 0.0
    assert steady_from(windows([1_200, 900, 800, 1_100, 1_000, 1_300, 900, 800, 1_100, 1_000, 1_200])) is None


def test_a_rising_throughput_is_not_warm() -> None:
    """Not while it rises by a tenth over the latest half, nor where answers get faster at the same rate."""
    level = [1_000] * 8
    assert is_warm(windows(level))
    assert not is_warm(windows([1_000 + 20 * n for n in range(8)]))
    faster = [replace(window, p50_ms=2.0 - 0.05 * n) for n, window in enumerate(windows(level))]
    assert not is_warm(faster)


def test_few_answers_do_not_show_that_a_server_is_warm() -> None:
    """Seven a stretch are too few, and so is a scatter that could hide a trend."""
    assert not is_warm(windows([7] * 8))
    assert is_warm(windows([9] * 8))
    assert not is_warm(windows([600, 1_400] * 4))
    assert not is_warm([])
