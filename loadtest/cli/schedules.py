"""The schedules and scenarios of ``loadtest run``, by the names that people type."""

from pathlib import Path

from loadtest.errors import UsageError
from loadtest.load.bursty import Gamma
from loadtest.load.replay import Replay
from loadtest.load.schedule import Closed, Constant, Piecewise, Poisson, Schedule

SCENARIOS = {
    "single-stream": "one request at a time: closed loop over one connection",
    "multi-stream": "one request of eight instances, or --batch, at a time: closed loop over one connection",
    "server": "Poisson arrivals at --rate",
    "offline": "all at once: closed loop with all golden instances in each request",
}
"""The scenarios of MLPerf LoadGen, by its names."""

KINDS = ("poisson", "constant", "gamma", "closed", "ramp", "step", "replay")
STREAMS = 8
"""Instances of a request of the multi-stream scenario, as in LoadGen."""


def make_schedule(
    kind: str,
    rates: tuple[float, ...],
    duration: float,
    recording: Path | None,
    min_requests: int,
    cv: float,
    stretch: float,
) -> Schedule | Closed:
    """The plan that the options name.

    Args:
        kind: One of `KINDS`.
        rates: Requests per second; several for ramp and step.
        duration: Seconds; longer where fewer requests than the smallest number would be sent.
        recording: File of a replay.
        min_requests: Smallest number of requests.
        cv: Coefficient of variation of gamma gaps.
        stretch: What the offsets of a replay are multiplied by.

    Raises:
        UsageError: If they do not go together, or the recording cannot be read.
    """
    if kind == "closed":
        return Closed(duration, min_requests)
    if kind == "replay":
        if recording is None:
            raise UsageError("--schedule replay needs --replay FILE, a file with one offset in seconds per line")
        return Replay.read(recording, stretch)
    if kind in ("ramp", "step"):
        return Piecewise(rates, duration, kind)
    if len(rates) != 1:
        raise UsageError("several rates are for --schedule ramp or step; name one with --rate")
    duration = max(duration, min_requests / rates[0])
    if kind == "gamma":
        return Gamma(rates[0], duration, cv)
    return Poisson(rates[0], duration) if kind == "poisson" else Constant(rates[0], duration)
