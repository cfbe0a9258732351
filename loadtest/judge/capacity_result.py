"""What a capacity search found."""

import math
from dataclasses import dataclass

from loadtest.judge.findings import Finding
from loadtest.judge.intervals import Estimate
from loadtest.records import Count, Number


@dataclass(frozen=True)
class Probe:
    """One run of the search.

    Attributes:
        rate: Offered rate, requests per second.
        seed: Seed of its schedule.
        met: Whether the objective was met.
        observed_ms: The percentile, failed requests counting as infinitely slow.
        failed_share: Share of requests that failed.
        requests: Requests that were due; 0 where not known.
        slow: Those that were slower than the limit, or failed.
        duration_s: Planned length; NaN where not known.
        search: Number of the search that it belongs to, 0 where it looked for the range of rates.
    """

    rate: float
    seed: int
    met: bool
    observed_ms: Number
    failed_share: float
    requests: Count = 0
    slow: Count = 0
    duration_s: Number = math.nan
    search: int = 0


@dataclass(frozen=True)
class Capacity:
    """The highest rate at which a server meets an objective in the long run.

    Attributes:
        objective: What was to be met, as people write it.
        percent: Percentile of the objective.
        limit_ms: Its limit.
        rate_rps: The estimate, 0 where even the lowest rate failed. Where the search ended at a limit of the client or
            the host: the highest rate that was met, below every rate that was missed.
        estimate_rps: The same with its interval.
        searches: Value of each search, requests per second, on whose logarithms the interval rests.
        bounded_by_client: Whether the client or the host, and not the server, ended the search: the rate is a lower
            bound.
        limits: What kept the client or the host from offering a rate; empty where only the server set the limits.
        probes: Every run, in order.
        fresh_servers: Whether each search had a server of its own, started for it; None where not known.
    """

    objective: str
    percent: float
    limit_ms: float
    rate_rps: float
    estimate_rps: Estimate
    searches: list[float]
    bounded_by_client: bool
    limits: list[Finding]
    probes: list[Probe]
    fresh_servers: bool | None = None
