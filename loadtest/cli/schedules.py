"""The schedules and scenarios of ``loadtest run``, by the names that people type."""

from pathlib import Path

import click
from click.core import ParameterSource

from loadtest.errors import UsageError
from loadtest.load.bursty import Gamma
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant, Piecewise, Poisson, Schedule

SCENARIOS = {
    "single-stream": "one request at a time: closed loop over one connection",
    "multi-stream": "one request of eight instances, or --batch, at a time: closed loop over one connection",
    "server": "Poisson arrivals at --rate",
    "offline": "all at once: closed loop with as many instances in each request as there are golden examples",
}
"""The scenarios of MLPerf LoadGen, by its names."""

ONE_CONNECTION = ("single-stream", "multi-stream")
"""LoadGen sends their next query as soon as the last one is complete."""

STREAMS = 8
"""Samples of a query of multi-stream in MLPerf's inference rules (mlcommons/inference_policies, section Scenarios)."""

KINDS = ("poisson", "constant", "gamma", "closed", "ramp", "step", "replay")
DEFAULT_RATE = 100.0
DEFAULT_CV = 2.0


def named(option: str) -> bool:
    """Whether the person has named this option of the present command: its default may stand for another value."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def choose_schedule(
    kind: str,
    rates: tuple[float, ...] | None,
    duration_s: float,
    *,
    recording: Path | None = None,
    min_requests: int = 0,
    cv: float | None = None,
    stretch: float | None = None,
) -> Schedule | Closed:
    """The plan that the options name.

    Args:
        kind: One of `KINDS`.
        rates: Requests per second; several for ramp and step; None where no rate was named.
        duration_s: Length; longer where fewer requests than the smallest number would be sent. A recording has its own.
        recording: File of a replay.
        min_requests: Smallest number of requests.
        cv: Coefficient of variation of gamma gaps; None where none was named.
        stretch: What the offsets of a replay are multiplied by; None where it was not named.

    Raises:
        UsageError: If they do not go together, or the recording cannot be read.
    """
    if cv is not None and kind != "gamma":
        raise UsageError("--cv is for --schedule gamma")
    if stretch is not None and kind != "replay":
        raise UsageError("--stretch is for --schedule replay")
    if recording is not None and kind != "replay":
        raise UsageError("--replay is for --schedule replay")
    if rates is not None and len(rates) != 1 and kind not in ("ramp", "step"):
        raise UsageError("several rates are for --schedule ramp or step; name one with --rate")
    if kind == "replay":
        return _replay(recording, rates, stretch)
    if kind == "closed":
        return Closed(duration_s, min_requests)
    rates = rates or (DEFAULT_RATE,)
    if kind in ("ramp", "step"):
        return Piecewise(rates, duration_s, kind)
    duration_s = max(duration_s, min_requests / rates[0])
    if kind == "gamma":
        return Gamma(rates[0], duration_s, DEFAULT_CV if cv is None else cv)
    return Poisson(rates[0], duration_s) if kind == "poisson" else Constant(rates[0], duration_s)


def _replay(recording: Path | None, rates: tuple[float, ...] | None, stretch: float | None) -> Replay:
    if recording is None:
        raise UsageError("--schedule replay needs --replay FILE, a file with one time per line, or a table of them")
    if rates and stretch:
        raise UsageError("--stretch and --rate both say how fast the recording is played: leave one out")
    return Replay.read(recording, stretch=stretch or 1.0, rate=rates[0] if rates else None)
