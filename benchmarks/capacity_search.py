"""How well the capacity search finds the capacity: `python benchmarks/capacity_search.py --seeds 100`.

On simulated servers, in virtual time: M/M/1 (whose capacity is a closed form), servers with stalls, several workers,
log-normal service, and one that differs from start to start. The truth of the others is a very long simulation.
Beside it stands the search of before, doubling and bisection by single runs. Prints the table of
benchmarks/capacity_search.md; the same seeds give the same table on any machine.
"""

import argparse
import contextlib
import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtri

from loadtest.experiments.capacity_search import RunAt, find_capacity
from loadtest.experiments.simulated_queue import exponential, log_normal, queue_run, uniform_stalls
from loadtest.judge.intervals import mean_estimate
from loadtest.judge.objective import Objective

OBJECTIVE = Objective.parse("p99<50ms")
START = 0.4
"""The first rate, as a share of what the workers can do at most: a gate measures a ceiling and halves it."""

STARTS = 10_000
"""Equally likely starts, over which the truth of a server is a mean."""

HEADER = """\
| server | capacity | slow at 10 % more, x | search | within 10 % | 90 % of them | covered | half | load, s | most |
|---|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Simulated:
    """A simulated server.

    Attributes:
        name: What the table calls it.
        speed: Requests per second that its workers can do at most.
        queue: Further arguments of `queue_run`.
        sigma: Of the log-normal distribution of its speed from start to start.
    """

    name: str
    speed: float
    queue: dict[str, Any] = field(default_factory=dict)
    sigma: float = 0.0

    def run(self, faster: float, rate: float, duration_s: float, seed: int) -> Any:
        """Put it under load, so many times as fast as its mean."""
        arguments = {"service": exponential(self.queue.get("workers", 1) / self.speed / faster), **self.queue}
        return queue_run(rate, duration_s, seed, **arguments)

    @contextlib.contextmanager
    def started(self, random: np.random.Generator) -> Iterator[RunAt]:
        """A start of the server, as fast as this one happens to be."""
        yield partial(self.run, float(np.exp(random.normal(0.0, self.sigma))) if self.sigma else 1.0)


SERVERS = (
    Simulated("M/M/1, 1,500/s", 1_500),
    Simulated("M/M/1, 300/s", 300),
    Simulated("M/M/1, 1,500/s, speed differs by 4 % from start to start", 1_500, sigma=0.04),
    Simulated("4 workers, 1,500/s together", 1_500, {"workers": 4}),
    Simulated("log-normal service (sigma 1), 1,500/s", 1_500, {"service": log_normal(1 / 1_500, 1.0)}),
    Simulated("1,500/s, stalls of 20 to 60 ms every 3 s", 1_500, {"stalls": uniform_stalls(3, 0.02, 0.06)}),
    Simulated("1,600/s, stalls of 20 to 100 ms every 20 s", 1_600, {"stalls": uniform_stalls(20, 0.02, 0.1)}),
    Simulated("1,600/s, stalls of 20 to 100 ms every 10 s", 1_600, {"stalls": uniform_stalls(10, 0.02, 0.1)}),
)


def truth(server: Simulated) -> tuple[float, float]:
    """Its capacity, and by what factor the share of slow requests grows where the rate grows by 10 % there."""
    if not server.queue:
        return _truth_of_mm1(server)
    about = _crossing(lambda rate: _share(server, rate, 2_000), server.speed, 12)
    rates = about * np.array([0.97, 0.98, 0.99, 1.0, 1.01, 1.02])
    shares = np.array([_share(server, rate, 12_000) for rate in rates])
    slope, level = np.polyfit(rates, np.log(shares), 1)
    capacity = float((math.log(OBJECTIVE.slow_allowed) - level) / slope)
    return capacity, math.exp(0.1 * slope * capacity)


def _truth_of_mm1(server: Simulated) -> tuple[float, float]:
    """P(T > t) = exp(-(mu - rate) t), the mean over so many equally likely starts."""
    speeds = server.speed * np.exp(server.sigma * ndtri((np.arange(STARTS) + 0.5) / STARTS))

    def share(rate: float) -> float:
        return float(np.exp(-np.maximum(speeds - rate, 0.0) * OBJECTIVE.limit_ms / 1000).mean())

    capacity = _crossing(share, server.speed, 40)
    return capacity, (share(1.001 * capacity) / share(capacity)) ** 100


def _crossing(share: Callable[[float], float], high: float, steps: int) -> float:
    """The rate at which a share of slow requests is what the objective allows, by bisection."""
    low = 0.0
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) < OBJECTIVE.slow_allowed else (low, middle)
    return (low + high) / 2


def _share(server: Simulated, rate: float, duration_s: float) -> float:
    tally = server.run(1.0, rate, duration_s, 987_654_321).tally
    return float(OBJECTIVE.slow(tally) / tally.scheduled)


@dataclass(frozen=True)
class Found:
    """What one seed gave, as multiples of the truth, and the virtual seconds of load that it took."""

    value: float
    low: float
    high: float
    load_s: float


def search(server: Simulated, capacity: float, options: dict[str, Any], seed: int) -> Found:
    """The search of loadtest."""
    random = np.random.default_rng([seed, 2])
    found = find_capacity(
        partial(server.started, random), OBJECTIVE, start=START * server.speed, seed=1 + 10_000 * seed, **options
    )
    estimate = found.estimate_rps
    load_s = sum(probe.duration_s for probe in found.probes)
    return Found(estimate.value / capacity, estimate.low / capacity, estimate.high / capacity, load_s)


def search_of_before(server: Simulated, capacity: float, options: dict[str, Any], seed: int) -> Found:
    """Doubling, then bisection to 5 %, each step by one run; three times on one process, and a confirming run."""
    random = np.random.default_rng([seed, 2])
    seeds = iter(range(1 + 10_000 * seed, 10_000 * (seed + 1)))
    load_s = 0.0
    with server.started(random) as run:

        def meets(rate: float) -> bool:
            nonlocal load_s
            duration_s = max(3.0, 2_000 / rate)
            load_s += duration_s
            return OBJECTIVE.met(run(rate, duration_s, next(seeds)).tally)

        def bracket(rate: float) -> tuple[float, float]:
            if meets(rate):
                while meets(2 * rate):
                    rate *= 2
                return rate, 2 * rate
            for _ in range(6):
                rate /= 2
                if meets(rate):
                    return rate, 2 * rate
            return 0.0, rate

        low, high = bracket(START * server.speed)
        found: list[float] = []
        for number in range(3):
            if number:
                low, high = bracket(0.7 * low if low else START * server.speed)
            while low > 0 and (high - low) / high > 0.05:
                middle = math.sqrt(low * high)
                low, high = (middle, high) if meets(middle) else (low, middle)
            found.append(low)
        rate = lowest = min(found)
        while rate > lowest / 2 and not meets(rate):
            rate *= 0.95
    estimate = mean_estimate(found)
    told = rate if rate > lowest / 2 else 0.0
    return Found(told / capacity, estimate.low / capacity, estimate.high / capacity, load_s)


def row(server: Simulated, method: str, capacity: float, grows: float, found: Sequence[Found]) -> str:
    """A line of the table."""
    values, lows, highs, loads = (
        np.array([getattr(one, name) for one in found]) for name in ("value", "low", "high", "load_s")
    )
    known = lows > 0
    half = np.median(np.sqrt(highs[known] / lows[known]) - 1) if known.any() else math.nan
    cells = (
        server.name,
        f"{capacity:,.0f}",
        f"{grows:,.1f}",
        method,
        f"{np.mean(np.abs(values - 1) <= 0.1):.0%}",
        f"{np.quantile(values, 0.05):.2f} to {np.quantile(values, 0.95):.2f}",
        f"{np.mean((lows <= 1) & (highs >= 1)):.0%}",
        f"{half:.0%}",
        f"{loads.mean():,.0f}",
        f"{loads.max():,.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def tell(line: str) -> None:
    """Print a line as soon as it is known."""
    print(line, flush=True)  # noqa: T201  (a script's own output)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--probe", type=float, help="seconds of a probe, in place of the default")
    parser.add_argument("--searches", type=int, help="most searches, in place of the default")
    parser.add_argument("--only", default="", help="servers whose name holds this")
    options = parser.parse_args()
    changed = {"probe_s": options.probe, "searches": options.searches}
    changed = {name: value for name, value in changed.items() if value is not None}
    seeds = range(options.first, options.first + options.seeds)
    tell(HEADER)
    with multiprocessing.Pool(options.processes) as pool:
        for server in (one for one in SERVERS if options.only in one.name):
            capacity, grows = truth(server)
            for method, one in (("of before", search_of_before), ("now", search)):
                found = pool.map(partial(_one, one, server.name, capacity, changed), seeds)
                tell(row(server, method, capacity, grows, found))


def _one(method: Any, name: str, capacity: float, options: dict[str, Any], seed: int) -> Found:
    (server,) = (one for one in SERVERS if one.name == name)
    found: Found = method(server, capacity, options, seed)
    return found


if __name__ == "__main__":
    main()
