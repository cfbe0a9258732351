"""LoadGen's scenarios: how `loadtest run` puts them under load."""

from pathlib import Path

import pytest

from loadtest.cli.schedules import KINDS, ONE_CONNECTION, SCENARIOS, STREAMS, choose_schedule
from loadtest.errors import UsageError
from loadtest.load.bursty import Gamma
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant, Piecewise, Poisson


def test_scenarios_are_loadgens() -> None:
    """Its four names; the two of one stream at a time keep one query in flight, multi-stream with 8 samples in it."""
    assert set(SCENARIOS) == {"single-stream", "multi-stream", "server", "offline"}
    assert set(ONE_CONNECTION) == {"single-stream", "multi-stream"}
    assert STREAMS == 8


def test_each_kind_is_the_schedule_of_its_name(tmp_path: Path) -> None:
    """Every name of the option makes a schedule that calls itself so."""
    trace = tmp_path / "trace"
    trace.write_text("0\n1\n", encoding="utf-8")
    expected = {
        "poisson": Poisson(100.0, 5.0),
        "constant": Constant(100.0, 5.0),
        "gamma": Gamma(100.0, 5.0, 2.0),
        "closed": Closed(5.0),
        "ramp": Piecewise((1.0, 9.0), 5.0, "ramp"),
        "step": Piecewise((1.0, 9.0), 5.0, "step"),
        "replay": Replay((0.0, 1.0)),
    }
    assert set(KINDS) == set(expected)
    for kind, schedule in expected.items():
        rates = (1.0, 9.0) if kind in ("ramp", "step") else None
        made = choose_schedule(kind, rates, 5.0, recording=trace if kind == "replay" else None)
        assert made == schedule
        assert made.kind == kind


def test_a_schedule_is_long_enough_for_its_requests() -> None:
    """A least number prolongs it at its rate."""
    assert choose_schedule("gamma", (10.0,), 1.0, cv=0.5, min_requests=100) == Gamma(10.0, 10.0, 0.5)


def test_options_that_do_not_go_together_are_refused() -> None:
    """Several rates for a single one."""
    with pytest.raises(UsageError, match="several rates"):
        choose_schedule("gamma", (1.0, 2.0), 1.0)
