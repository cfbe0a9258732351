"""How often a model is asked while its forward pass is timed, by a clock that only its passes move."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from models import forward_timing
from models.forward_timing import INPUTS, PATIENCE_S, WARMUP_CALLS, WARMUP_S, time_passes
from models.tensors import Tensors


@dataclass
class Model:
    """Takes so many seconds for a pass, and remembers the lengths that it was asked for."""

    pass_s: float
    asked: list[int] = field(default_factory=list)

    def __call__(self, inputs: Tensors) -> Tensors:
        """One pass."""
        self.asked.append(inputs["x"].shape[1])
        return inputs

    def perf_counter(self) -> float:
        """The time after the passes so far."""
        return len(self.asked) * self.pass_s

    def perf_counter_ns(self) -> int:
        """The same in nanoseconds."""
        return round(self.perf_counter() * 1e9)


def timed(monkeypatch: pytest.MonkeyPatch, pass_s: float, lengths: int) -> tuple[Model, forward_timing.ForwardTiming]:
    """A model timed over inputs of so many lengths."""
    model = Model(pass_s)
    monkeypatch.setattr(forward_timing, "time", model)
    inputs: list[Tensors] = [{"x": np.ones((1, 1 + number % lengths))} for number in range(INPUTS)]
    return model, time_passes("torch", model, inputs, 1)


def test_a_fast_model_is_warm_and_timed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the whole warm-up, by as many passes as fit into the time, each input as often as any other."""
    model, timing = timed(monkeypatch, 0.001, lengths=4)
    assert len(model.asked) - timing.calls == WARMUP_CALLS
    assert timing.calls % INPUTS == 0
    assert timing.calls * 0.001 >= forward_timing.SECONDS
    assert (timing.p50_ms, timing.mean_ms) == pytest.approx((1, 1))


def test_a_slow_model_is_asked_for_each_input_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its warm-up ends early, but not before it has seen every shape."""
    model, timing = timed(monkeypatch, 1.0, lengths=8)
    assert timing.calls == 2 * INPUTS
    warming = model.asked[: -timing.calls]
    assert set(warming[:8]) == set(range(1, 9))
    assert len(warming) - 8 <= WARMUP_S + 1


def test_a_very_slow_model_is_asked_for_each_input_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a pass of ten seconds ends within minutes; it is timed all the same."""
    model, timing = timed(monkeypatch, 10.0, lengths=1)
    assert INPUTS * 10.0 > PATIENCE_S
    assert timing.calls == INPUTS
    assert len(model.asked) <= INPUTS + 3
    assert timing.p50_ms == pytest.approx(10_000)
